/** Bounds of a growing pause, in milliseconds. */
export interface BackoffOptions {
  /** Upper bound of the first pause. */
  firstMs: number;
  /** Upper bound of every pause. */
  maxMs: number;
  /** A number from 0 to 1. */
  random?: () => number;
}

/** The upper bound of the pause after so many others: it doubles each time. */
export function pauseBoundMs({ firstMs, maxMs }: BackoffOptions, earlier: number): number {
  return Math.min(maxMs, firstMs * 2 ** Math.min(earlier, 30));
}

/** Pauses between tries: each is drawn from 0 to a bound that doubles (full jitter). */
export class Backoff {
  readonly #options: BackoffOptions;
  #tries = 0;

  /** Starts at `firstMs`. */
  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** The next pause in milliseconds. */
  next(): number {
    const { random = Math.random } = this.#options;
    return Math.round(random() * pauseBoundMs(this.#options, this.#tries++));
  }

  /** Begins with `firstMs` again, after a success. */
  reset(): void {
    this.#tries = 0;
  }
}
