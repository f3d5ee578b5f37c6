import { settlesWithin } from "./deadline.ts";
import { writeAll } from "./atomic_file.ts";

/** So much may wait to be written, in UTF-16 units. */
const MAX_WAITING = 1024 * 1024;

/** What a {@linkcode LogSink} writes to. */
export interface LogTarget {
  /** Writes a part of the bytes; says how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/**
 * Where the log goes: written in the background, in order. A reader that stands still holds nobody
 * up: what does not fit any more is dropped and counted.
 */
export class LogSink {
  /** Hears how many lines were dropped, once there is room again. */
  onDropped: (count: number) => void = () => {};
  readonly #target: LogTarget;
  #waiting: string[] = [];
  #size = 0;
  #dropped = 0;
  #writing: Promise<void> | undefined;

  /** Standard output by default. */
  constructor(target: LogTarget = Deno.stdout) {
    this.#target = target;
  }

  /** Takes a line, with its end. */
  write(line: string): void {
    if (this.#size + line.length > MAX_WAITING) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(line);
    this.#size += line.length;
    this.#writing ??= this.#run();
  }

  /** Resolves when all has been written, at the latest after `limitMs`. */
  async flush(limitMs: number): Promise<void> {
    if (this.#writing) await settlesWithin(this.#writing, limitMs);
  }

  async #run(): Promise<void> {
    const encoder = new TextEncoder();
    while (this.#waiting.length > 0) {
      const text = this.#waiting.splice(0).join("");
      // The reader of our log may be gone (a closed pipe): work goes on without it.
      await writeAll(this.#target, encoder.encode(text)).catch(() => {});
      this.#size -= text.length;
      const dropped = this.#dropped;
      this.#dropped = 0;
      if (dropped > 0) this.onDropped(dropped);
    }
    this.#writing = undefined;
  }
}
