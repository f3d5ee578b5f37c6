import { delay } from "@std/async";

/** Bounds of a growing pause, in milliseconds. */
export interface BackoffOptions {
  /** Upper bound of the first pause. */
  firstMs: number;
  /** Upper bound of every pause. */
  maxMs: number;
  /** A number from 0 to 1. */
  random?: () => number;
}

/** Pauses between tries: each is drawn from 0 to a bound that doubles (full jitter). */
export class Backoff {
  readonly #options: Required<BackoffOptions>;
  #tries = 0;

  /** Starts at `firstMs`. */
  constructor(options: BackoffOptions) {
    this.#options = { random: Math.random, ...options };
  }

  /** The next pause in milliseconds. */
  next(): number {
    const { firstMs, maxMs, random } = this.#options;
    return Math.round(random() * Math.min(maxMs, firstMs * 2 ** Math.min(this.#tries++, 30)));
  }

  /** Waits for the next pause; an abort ends the wait early and is thrown. */
  async wait(signal?: AbortSignal): Promise<void> {
    await delay(this.next(), signal ? { signal } : {});
  }

  /** Begins with `firstMs` again, after a success. */
  reset(): void {
    this.#tries = 0;
  }
}
