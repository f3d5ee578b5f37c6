const MINUTE_MS = 60_000;
/** Keys may come from outside: more than this are not kept apart. */
const MAX_KEYS = 100;

/** Keeps the log readable: lets each key through once a minute. */
export class LogThrottle {
  readonly #now: () => number;
  readonly #toldMs = new Map<string, number>();

  /** `now` is a clock that only goes forward, in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether `key` has not been let through within the last minute. */
  allows(key: string): boolean {
    const now = this.#now();
    const told = this.#toldMs.get(key);
    if (told !== undefined && now - told < MINUTE_MS) return false;
    for (const [old, at] of this.#toldMs) if (now - at >= MINUTE_MS) this.#toldMs.delete(old);
    if (this.#toldMs.size >= MAX_KEYS) return false;
    this.#toldMs.set(key, now);
    return true;
  }

  /** Lets `key` through again. */
  forget(key: string): void {
    this.#toldMs.delete(key);
  }

  /** Lets every key through again. */
  reset(): void {
    this.#toldMs.clear();
  }
}
