import { Slots } from "../system/slots.ts";
import { LineDecoder } from "./line_decoder.ts";
import type { SecretMask } from "./secret_mask.ts";

/** How long a background process that keeps the output open may delay the end, in milliseconds. */
export const LINGER_MS = 2_000;
/** After a stall of the agent, timers come before what there is to read; in milliseconds. */
const LAST_LOOK_MS = 50;
/** The largest pipe that a user may make, in bytes: no more of what was written in time can be left. */
const MAX_PIPE_BYTES = 1 << 20;
/** So much of it comes at once, if there is as much. */
const CHUNK_BYTES = 1 << 15;

/**
 * Text takes several times the memory of its bytes while it is decoded, masked and written; the
 * outputs of many tasks take turns at that, and wait as bytes.
 */
const decoding = new Slots(8);

/** One stream of a program's output, read into lines until its end, or until it is let go. */
export class ProgramOutput {
  readonly #reader: ReadableStreamBYOBReader;
  /** Read into again and again: with many tasks the garbage would be more than all they hold. */
  #buffer: ArrayBufferLike = new ArrayBuffer(CHUNK_BYTES);
  readonly #decoder: LineDecoder;
  readonly #onLines: (lines: string) => Promise<void>;
  #letGoMs = Infinity;
  #isWaiting = false;
  #mayWaitMs = LINGER_MS;
  #mayReadBytes = MAX_PIPE_BYTES;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `onLines` takes whole lines; reading goes on when its promise is kept. */
  constructor(
    stream: ReadableStream<Uint8Array>,
    mask: SecretMask,
    onLines: (lines: string) => Promise<void>,
  ) {
    this.#reader = stream.getReader({ mode: "byob" });
    this.#decoder = new LineDecoder(mask);
    this.#onLines = onLines;
  }

  /** Reads it all; throws what `onLines` throws. */
  async read(): Promise<void> {
    for (;;) {
      const { done, value } = await this.#next();
      const isEnd = done || !value;
      await decoding.use(async () => {
        const lines = isEnd ? this.#decoder.end() : this.#decoder.push(value);
        if (lines !== "") await this.#onLines(lines);
      });
      if (isEnd) return;
      this.#buffer = value.buffer;
      if (performance.now() > this.#letGoMs + LINGER_MS) {
        // Less than it could have been is what somebody goes on writing, never ending perhaps.
        this.#mayReadBytes -= Math.max(value.length, CHUNK_BYTES);
      }
      if (this.#mayReadBytes <= 0) this.#cancel();
    }
  }

  /**
   * The program has ended. What it has written is read, however long its lines take to be stored;
   * others that hold the stream open are waited for, but for 2 s in all.
   */
  letGo(): void {
    this.#letGoMs = performance.now();
    if (this.#isWaiting) this.#limitWait();
  }

  async #next(): Promise<ReadableStreamReadResult<Uint8Array>> {
    const startMs = performance.now();
    this.#isWaiting = true;
    if (this.#letGoMs < Infinity) this.#limitWait();
    const chunk = await this.#reader.read(new Uint8Array(this.#buffer));
    this.#isWaiting = false;
    clearTimeout(this.#timer);
    this.#mayWaitMs -= Math.max(0, performance.now() - Math.max(startMs, this.#letGoMs));
    return chunk;
  }

  #limitWait(): void {
    this.#timer = setTimeout(() => {
      this.#timer = setTimeout(() => this.#cancel(), LAST_LOOK_MS);
    }, Math.max(0, this.#mayWaitMs - LAST_LOOK_MS));
  }

  #cancel(): void {
    this.#reader.cancel().catch(() => {
      // It has failed by itself.
    });
  }
}
