/**
 * The memory that all spools together may hold lines in. What does not fit stays on disk, and where
 * the disk refuses it the oldest lines make room.
 */
export class LogMemory {
  readonly #limit: () => number;
  #used = 0;

  /** `limit` is asked each time, in bytes: it may change while the agent runs. */
  constructor(limit: () => number) {
    this.#limit = limit;
  }

  /** How much is held, in bytes. */
  get used(): number {
    return this.#used;
  }

  /** Whether there is room for so many bytes more. */
  hasRoom(bytes: number): boolean {
    return this.#used + bytes <= this.#limit();
  }

  /** Notes that so many bytes more are held, or fewer if it is negative. */
  add(bytes: number): void {
    this.#used += bytes;
  }
}

/** Text with other characters than these takes two bytes for each unit. */
const WIDE = /[^\0-\xff]/;

/** What a text takes in memory, in bytes. */
export function bytesOf(text: string): number {
  return WIDE.test(text) ? 2 * text.length : text.length;
}
