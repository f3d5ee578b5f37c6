import { pauseUntil } from "../system/deadline.ts";

/** The most bytes of one `terminal.output`: 65 536 characters of base64 (contract: Realtime). */
export const MAX_FRAME_BYTES = 49_152;
/** How long output may be gathered before it is sent, in milliseconds. */
export const GATHER_MS = 10;
/** Above this many waiting bytes the terminal is not read. */
export const HIGH_MARK_BYTES = 256 * 1024;
/** Below this many it is read again. */
export const LOW_MARK_BYTES = 64 * 1024;

/** What decides when waiting output is due. */
export interface Waiting {
  /** How many bytes wait. */
  bytes: number;
  /** Time since the last frame was taken, in milliseconds. */
  sinceLastMs: number;
  /** Somebody has typed and waits for the echo, or nothing more will come. */
  urgent: boolean;
}

/**
 * How long to go on gathering, in milliseconds: the first bytes after a silence go at once, later
 * ones are gathered for a moment or until they fill a frame.
 */
export function gatherMs({ bytes, sinceLastMs, urgent }: Waiting): number {
  if (bytes === 0) return Infinity;
  if (urgent || bytes >= MAX_FRAME_BYTES) return 0;
  return Math.max(0, GATHER_MS - sinceLastMs);
}

/** Where output waits. */
export interface OutputStore {
  /** How many bytes wait. */
  readonly bytes: number;
  /** Adds bytes at the end. */
  push(bytes: Uint8Array<ArrayBuffer>): void;
  /** Takes so many bytes from the beginning; there are as many. */
  take(length: number): Uint8Array<ArrayBuffer>;
}

/** Output that waits in memory, and goes with the agent. */
class MemoryStore implements OutputStore {
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(bytes: Uint8Array<ArrayBuffer>): void {
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
  }

  take(length: number): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(length);
    let at = 0;
    for (let head = this.#chunks[0]; head !== undefined && at < length;) {
      const part = head.subarray(0, length - at);
      taken.set(part, at);
      at += part.length;
      if (part.length === head.length) this.#chunks.shift();
      else this.#chunks[0] = head.subarray(part.length);
      head = this.#chunks[0];
    }
    this.#bytes -= at;
    return taken;
  }
}

/** Options of {@linkcode OutputBuffer}. */
export interface OutputBufferOptions {
  /** Called with true above {@linkcode HIGH_MARK_BYTES}, with false below {@linkcode LOW_MARK_BYTES}. */
  onFull?: (full: boolean) => void;
  /** The clock, in milliseconds. */
  now?: () => number;
  /** Where output waits; in memory by default. */
  store?: OutputStore | undefined;
}

/** Output on its way from the terminal into frames. */
export class OutputBuffer {
  readonly #onFull: (full: boolean) => void;
  readonly #now: () => number;
  readonly #store: OutputStore;
  #full = false;
  #urgent = false;
  #ended = false;
  #lastMs = -Infinity;
  #changed = () => {};

  /** Makes one of what waits already. */
  constructor(options: OutputBufferOptions = {}) {
    this.#store = options.store ?? new MemoryStore();
    this.#onFull = options.onFull ?? (() => {});
    this.#now = options.now ?? (() => performance.now());
  }

  /** How many bytes wait. */
  get bytes(): number {
    return this.#store.bytes;
  }

  /** Whether so much waits that the terminal must not be read. */
  get full(): boolean {
    return this.#full;
  }

  /** Takes the next bytes of output. */
  push(bytes: Uint8Array<ArrayBuffer>): void {
    this.#store.push(bytes);
    this.grown();
  }

  /** There is more in the store by now. */
  grown(): void {
    this.#tellFull();
    this.#changed();
  }

  /** The next output is an echo: it is not to be gathered. */
  urge(): void {
    this.#urgent = true;
    this.#changed();
  }

  /** No more output will come. */
  end(): void {
    this.#ended = true;
    this.#changed();
  }

  /** The next frame as soon as it is due; undefined after the last one. One call at a time. */
  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    for (;;) {
      if (this.bytes === 0 && this.#ended) return undefined;
      const waitMs = gatherMs({
        bytes: this.bytes,
        sinceLastMs: this.#now() - this.#lastMs,
        urgent: this.#urgent || this.#ended,
      });
      if (waitMs === 0) return this.#take();
      await this.#change(waitMs);
    }
  }

  async #change(limitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#changed = resolve;
    await (limitMs === Infinity ? promise : pauseUntil(promise, Math.ceil(limitMs)));
  }

  #take(): Uint8Array<ArrayBuffer> {
    const frame = this.#store.take(Math.min(this.bytes, MAX_FRAME_BYTES));
    this.#urgent = false;
    this.#lastMs = this.#now();
    this.#tellFull();
    return frame;
  }

  #tellFull(): void {
    const full = this.#full ? this.bytes >= LOW_MARK_BYTES : this.bytes > HIGH_MARK_BYTES;
    if (full === this.#full) return;
    this.#full = full;
    this.#onFull(full);
  }
}
