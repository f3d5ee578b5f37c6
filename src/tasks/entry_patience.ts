import type { RefusedError } from "../control_plane/errors.ts";

/** How long an entry is tried that something before the control plane refuses, in milliseconds. */
const FIRST_REFUSAL_MS = 2 * 60_000;
/** The same for those after one that never got through: a filter does not change its mind. */
const NEXT_REFUSAL_MS = 10_000;

/**
 * Decides when a refused log entry is given up, so that one does not hold its task for good: a
 * filter on the way may refuse a line for what is in it.
 */
export class EntryPatience {
  readonly #isServed: () => Promise<boolean>;
  readonly #now: () => number;
  #sinceMs: number | undefined;
  #limitMs = FIRST_REFUSAL_MS;

  /**
   * `isServed` asks whether the control plane answers for this task otherwise: if not, the refusal
   * is not about the entry. `now` is a clock that only goes forward, in milliseconds.
   */
  constructor(isServed: () => Promise<boolean>, now: () => number = () => performance.now()) {
    this.#isServed = isServed;
    this.#now = now;
  }

  /** Whether a refusal that may pass, the last of one or several, is the last word on the entry. */
  async isFinal({ isOwn, status }: RefusedError): Promise<boolean> {
    this.#sinceMs ??= this.#now();
    // The control plane's own word is final, unless it is about the node and not the entry.
    const isLastWord = isOwn && status === 403;
    if (!isLastWord && this.#now() - this.#sinceMs < this.#limitMs) return false;
    return await this.#isServed();
  }

  /** The next entry begins; `refused` says whether the one before was given up. */
  next(refused: boolean): void {
    const waited = this.#sinceMs !== undefined;
    this.#sinceMs = undefined;
    if (refused && waited) this.#limitMs = NEXT_REFUSAL_MS;
    else if (waited) this.#limitMs = FIRST_REFUSAL_MS;
  }
}
