/** A plain line is written so often at most where there is no terminal, in milliseconds. */
const PLAIN_INTERVAL_MS = 60_000;

/** Where a {@linkcode Progress} writes. */
export interface ProgressOptions {
  /** Takes text as it is. */
  write: (text: string) => void;
  /** The terminal's width; `undefined` where there is none and no line can be rewritten. */
  columns: number | undefined;
  /** A clock that only goes forward, in milliseconds. */
  now?: () => number;
}

/** Tells how a wait goes on: one line rewritten on a terminal, a line now and then elsewhere. */
export class Progress implements Disposable {
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  #shown = false;
  #lastPlainAt = -Infinity;

  /** Nothing is written yet. */
  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Shows one line, cut where the terminal would break it. */
  show(line: string): void {
    const { write, columns } = this.#options;
    if (columns !== undefined) {
      this.#shown = true;
      return write(`\r\x1b[K${line.slice(0, columns - 1)}`);
    }
    if (this.#now() - this.#lastPlainAt < PLAIN_INTERVAL_MS) return;
    this.#lastPlainAt = this.#now();
    write(`${line}\n`);
  }

  /** Takes the rewritten line away, until the next one is shown. */
  clear(): void {
    if (this.#shown) this.#options.write("\r\x1b[K");
    this.#shown = false;
  }

  /** Takes the rewritten line away. */
  [Symbol.dispose](): void {
    this.clear();
  }
}

/** A span of time in minutes and seconds: `9:05`. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
