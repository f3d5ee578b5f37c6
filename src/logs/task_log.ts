import { LogStream } from "../control_plane/schemas.ts";
import { pauseUntil } from "../system/deadline.ts";
import { type BatchedEntry, batchWaitMs, EntryBatcher, ROWS } from "./log_entries.ts";
import { OutputSummary } from "./output_summary.ts";
import type { SecretMask } from "./secret_mask.ts";
import type { Spool } from "./spool.ts";
import type { Chunk } from "./spool_disk.ts";
import { Gap } from "./spool_index.ts";
import { StreamReader } from "./stream_reader.ts";

/** Takes output that somebody else puts in its place: what a kill leaves there is found again. */
export interface OutputStore {
  /** The file of a stream, and where in it the next bytes belong; undefined while it takes none. */
  placeOf(stream: LogStream): { path: string; offset: number } | undefined;
  /** Notes that bytes are in that place. */
  note(stream: LogStream, bytes: Uint8Array): Promise<void>;
}

/**
 * The log of one task: bytes go in as they come, and entries are pulled out in order, each when it
 * is time for it. Bytes are decoded when entries are pulled, once, as far as an entry needs.
 *
 * Entries are a budget, since operators see the first 100 of a task only. The first 60 are one line
 * each; then lines wait for company, the longer the more entries were used, and go at once when an
 * entry is full or no more will come.
 */
export class TaskLog {
  readonly #spool: Spool;
  readonly #now: () => number;
  readonly #batcher = new EntryBatcher();
  readonly #summary = new OutputSummary();
  readonly #readers: Record<LogStream, StreamReader>;
  /** Where the index goes on behind what was read. */
  #record: number;
  #waitingSince = 0;
  #ended = false;
  #readAll = false;
  #stopped = false;
  #hurried = false;
  /** Whether what is read counts for the summary alone. */
  #summing = false;
  /** Whether something came since the last look, so that it is not slept over. */
  #news = false;
  #wakeUp: () => void = () => {};

  /**
   * Goes on where the cursor of the spool is. `mask` knows what no entry may show; `hidden` is a line
   * that is left out; `now` is a clock that only goes forward, in milliseconds.
   */
  constructor(
    spool: Spool,
    mask: SecretMask,
    { hidden = "", now = () => performance.now() }: { hidden?: string; now?: () => number } = {},
  ) {
    this.#spool = spool;
    this.#now = now;
    const { streams, record } = spool.cursor;
    const reader = (stream: LogStream) => new StreamReader(mask, hidden, streams[stream], record);
    this.#readers = {
      stdout: reader("stdout"),
      stderr: reader("stderr"),
      system: reader("system"),
    };
    this.#record = record;
  }

  /** How much is not delivered yet, in bytes, as a rough figure. */
  get undelivered(): number {
    const read = Object.values(this.#readers).map(({ pendingUnits }) => pendingUnits);
    return read.reduce((sum, units) => sum + units, this.#spool.unreadBytes);
  }

  /** Whether the hidden line has come, as far as is read. */
  get hasHidden(): boolean {
    return Object.values(this.#readers).some(({ decoder }) => decoder.hasHidden);
  }

  /** Adds bytes of a stream; resolves when they are safe. */
  async append(stream: LogStream, bytes: Uint8Array, atMs = Date.now()): Promise<void> {
    if (bytes.length === 0) return;
    await this.#spool.append(stream, bytes, atMs);
    this.#wake();
  }

  /** What of a program's output its host may put into the files of this log by itself. */
  get store(): OutputStore {
    return {
      placeOf: (stream) => this.#spool.placeOf(stream),
      note: async (stream, bytes) => {
        await this.#spool.append(stream, bytes, Date.now(), true);
        this.#wake();
      },
    };
  }

  /** Adds whole lines, each with its newline; resolves when they are safe. */
  write(stream: LogStream, lines: string, atMs = Date.now()): Promise<void> {
    return this.append(stream, new TextEncoder().encode(lines), atMs);
  }

  /** Says that no more will come: what waits for company goes out. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Packs all that is left into as few entries as it needs: there is little time. */
  hurry(): void {
    this.#hurried = true;
    this.#wake();
  }

  /** Gives out no further entry. */
  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  /**
   * Each entry when it is time for it, until the last one after `end`, or until `stop`. An entry is
   * to be delivered, and {@linkcode TaskLog.delivered} told, before the next one is pulled.
   */
  async *entries(): AsyncGenerator<BatchedEntry, void> {
    while (!this.#stopped) {
      this.#news = false;
      await this.#fill();
      if (this.#batcher.empty && this.#readAll) return;
      const waitMs = this.#waitMs();
      if (waitMs > 0) {
        await this.#woken(waitMs);
        continue;
      }
      const entry = this.#batcher.next(this.#packs);
      if (entry) yield entry;
    }
  }

  /** Notes that the control plane has an entry, or will not have it. */
  delivered({ stream, end, gaps }: BatchedEntry): void {
    this.#waitingSince = this.#now();
    this.#readers[stream].delivered(end);
    const { stdout, stderr, system } = this.#readers;
    const pending = [stdout, stderr, system].filter(({ isPending }) => isPending);
    const record = Math.min(this.#record, ...pending.map(({ record }) => record));
    const streams = { stdout: stdout.cursor, stderr: stderr.cursor, system: system.cursor };
    this.#spool.delivered({ streams, record }, gaps);
  }

  /** Reads what an earlier agent has delivered, for the summary. */
  async catchUp(): Promise<void> {
    while (this.#batcher.empty && await this.#read());
  }

  /** Whether every entry was pulled. */
  async isEmpty(): Promise<boolean> {
    await this.#fill();
    return this.#batcher.empty;
  }

  /** The summary of all output, which is read to its end for that: no entry comes any more. */
  async summary(): Promise<string> {
    this.#ended = true;
    this.#summing = true;
    while (await this.#read());
    return this.#summary.toString();
  }

  /** Removes the files: the control plane has all it will get. */
  discard(): Promise<void> {
    return this.#spool.discard();
  }

  /** Closes the files and leaves them for the next start. */
  close(): Promise<void> {
    return this.#spool[Symbol.asyncDispose]();
  }

  /** The first lines are a row each, in the order in which they came. */
  get #packs(): boolean {
    return this.#hurried || this.#spool.cursor.entries >= ROWS;
  }

  /** How long there is nothing to be done, unless something comes. */
  #waitMs(): number {
    const now = this.#now();
    if (this.#batcher.empty) return this.#showAtMs - now;
    if (this.#readAll || this.#hurried || this.#batcher.fullStream) return 0;
    const lateMs = this.#waitingSince + batchWaitMs(this.#spool.cursor.entries);
    return lateMs <= now ? 0 : Math.min(lateMs, this.#showAtMs) - now;
  }

  get #showAtMs(): number {
    return Math.min(...LogStream.options.map((stream) => this.#readers[stream].decoder.showAtMs));
  }

  async #fill(): Promise<void> {
    while (!this.#batcher.fullStream && await this.#read());
  }

  /** Reads what comes next; false if there is nothing now. */
  async #read(): Promise<boolean> {
    const next = await this.#spool.next();
    if (next instanceof Gap) this.#leaveOut(next);
    else if (next) this.#take(next);
    else {
      for (const stream of LogStream.options) this.#showOrEnd(stream);
      this.#readAll ||= this.#ended;
      return false;
    }
    return true;
  }

  #take(chunk: Chunk): void {
    using _ = chunk;
    const { stream, atMs, bytes } = chunk;
    const reader = this.#readers[stream];
    this.#record = chunk.record;
    const now = this.#now();
    this.#summary.skip(reader.missingBefore(chunk));
    const delivered = reader.deliveredOf(chunk);
    const part = (from: number, to?: number): Chunk => ({
      ...chunk,
      bytes: bytes.subarray(from, to),
      start: chunk.start + from,
    });
    if (delivered > 0) this.#emit(stream, reader.take(part(0, delivered), now), atMs);
    if (delivered === bytes.length) return;
    if (reader.isResuming) reader.resume(chunk.start + delivered);
    this.#emit(stream, reader.take(part(delivered), now), atMs);
  }

  #leaveOut(gap: Gap): void {
    for (const [stream, isOpen] of gap.streams) this.#readers[stream].leaveOut(isOpen);
    this.#summary.skip(gap.bytes);
    if (gap.lines === 0) return;
    const text = `[… ${gap.lines} lines left out: more than could be delivered …]\n`;
    this.#add({ stream: "system", atMs: Date.now(), text, end: this.#readers.system.units, gap });
  }

  /** Nothing waits: a line that was begun long ago is shown, and one that no more will come for ended. */
  #showOrEnd(stream: LogStream): void {
    const reader = this.#readers[stream];
    if (this.#ended && !this.#readAll) this.#emit(stream, reader.end(), Date.now());
    else if (this.#now() >= reader.decoder.showAtMs) this.#emit(stream, reader.show(), Date.now());
  }

  #emit(stream: LogStream, lines: string, atMs: number): void {
    this.#summary.push(stream, lines);
    const reader = this.#readers[stream];
    if (reader.isResuming) return;
    const text = reader.withoutDelivered(lines);
    if (text !== "") this.#add({ stream, atMs, text, end: reader.units });
  }

  #add(batch: Parameters<EntryBatcher["add"]>[0]): void {
    if (this.#summing) return;
    if (this.#batcher.empty) this.#waitingSince = this.#now();
    this.#batcher.add(batch);
  }

  #wake(): void {
    this.#news = true;
    this.#wakeUp();
  }

  async #woken(limitMs: number): Promise<void> {
    if (this.#news) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wakeUp = resolve;
    await (limitMs < Infinity ? pauseUntil(promise, limitMs) : promise);
  }
}
