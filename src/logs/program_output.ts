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

/** Somebody may be asked something: so long a line that does not end is waited for, in milliseconds. */
const UNFINISHED_MS = 2_000;
/** By so much longer each time: a download of half an hour is shown in fewer than 20 states. */
const UNFINISHED_GROWTH = 1.4;

/**
 * Text takes several times the memory of its bytes while it is decoded, masked and written; the
 * outputs of many tasks take turns at that, and wait as bytes.
 */
const decoding = new Slots(8);

/** One stream of a program's output, read into lines until its end, or until it is drained. */
export class ProgramOutput {
  readonly #reader: ReadableStreamBYOBReader;
  /** Read into again and again: with many tasks the garbage would be more than all they hold. */
  #buffer: ArrayBufferLike = new ArrayBuffer(CHUNK_BYTES);
  readonly #decoder: LineDecoder;
  readonly #onLines: (lines: string) => Promise<void>;
  #drainMs = Infinity;
  #isWaiting = false;
  #mayWaitMs = LINGER_MS;
  #mayReadBytes = MAX_PIPE_BYTES;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #forPeople: boolean;
  #reading: Promise<ReadableStreamReadResult<Uint8Array>> | undefined;
  /** When what there is of an unfinished line is shown. */
  #showAtMs = Infinity;
  /** How often more of a line was shown that had been shown before, or written over. */
  #repeats = 0;

  /**
   * `onLines` takes whole lines; reading goes on when its promise is kept. With `forPeople` a line
   * that does not end is shown as it is after some time, and one that is written over as it is then.
   */
  constructor(
    stream: ReadableStream<Uint8Array>,
    mask: SecretMask,
    onLines: (lines: string) => Promise<void>,
    forPeople = false,
  ) {
    this.#reader = stream.getReader({ mode: "byob" });
    this.#decoder = new LineDecoder(mask, forPeople);
    this.#onLines = onLines;
    this.#forPeople = forPeople;
  }

  /** Reads it all; throws what `onLines` throws. */
  async read(): Promise<void> {
    for (;;) {
      const chunk = await this.#next();
      if (performance.now() >= this.#showAtMs) await this.#show();
      if (!chunk) continue;
      const { done, value } = chunk;
      const isEnd = done || !value;
      await decoding.use(async () => {
        const lines = isEnd ? this.#decoder.end() : this.#decoder.push(value);
        if (this.#forPeople) this.#plan(lines !== "");
        if (lines !== "") await this.#onLines(lines);
      });
      if (isEnd) return;
      this.#buffer = value.buffer;
      if (performance.now() > this.#drainMs + LINGER_MS) {
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
  drain(): void {
    this.#drainMs = performance.now();
    if (this.#isWaiting) this.#limitWait();
  }

  /** Plans when the line that was begun is shown, if it does not end before. */
  #plan(isAnother: boolean): void {
    if (isAnother || !this.#decoder.hasBegun) this.#showAtMs = Infinity;
    if (!this.#decoder.hasBegun || this.#showAtMs < Infinity) return;
    const growth = this.#decoder.isRepeated ? UNFINISHED_GROWTH ** this.#repeats : 1;
    this.#showAtMs = performance.now() + UNFINISHED_MS * growth;
  }

  async #show(): Promise<void> {
    this.#showAtMs = Infinity;
    const isRepeated = this.#decoder.isRepeated;
    const lines = this.#decoder.show();
    if (lines === "") return;
    if (isRepeated) this.#repeats++;
    await this.#onLines(lines);
  }

  /** The next chunk, or `undefined` when there is something to be shown before it comes. */
  async #next(): Promise<ReadableStreamReadResult<Uint8Array> | undefined> {
    const startMs = performance.now();
    this.#isWaiting = true;
    if (this.#drainMs < Infinity) this.#limitWait();
    this.#reading ??= this.#reader.read(new Uint8Array(this.#buffer));
    const chunk = await this.#readUntilShown(this.#reading);
    if (chunk) this.#reading = undefined;
    this.#isWaiting = false;
    clearTimeout(this.#timer);
    this.#mayWaitMs -= Math.max(0, performance.now() - Math.max(startMs, this.#drainMs));
    return chunk;
  }

  async #readUntilShown(
    reading: Promise<ReadableStreamReadResult<Uint8Array>>,
  ): Promise<ReadableStreamReadResult<Uint8Array> | undefined> {
    if (this.#showAtMs === Infinity) return await reading;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const inMs = Math.max(0, this.#showAtMs - performance.now());
    const timer = setTimeout(() => resolve(undefined), inMs);
    return await Promise.race([reading, promise]).finally(() => clearTimeout(timer));
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
