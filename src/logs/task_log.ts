import { LogStream } from "../control_plane/schemas.ts";
import { pauseUntil } from "../system/deadline.ts";
import { type BatchedEntry, batchWaitMs, EntryBatcher, LineDecoder, ROWS } from "./log_entries.ts";
import { OutputSummary } from "./output_summary.ts";
import type { SecretMask } from "./secret_mask.ts";
import type { Spool } from "./spool.ts";
import type { Chunk } from "./spool_disk.ts";
import { Gap, NEWLINE, type StreamCursor } from "./spool_index.ts";

/** Takes output that somebody else puts in its place: what a kill leaves there is found again. */
export interface OutputStore {
  /** The file of a stream, and where in it the next bytes belong; undefined while it takes none. */
  placeOf(stream: LogStream): { path: string; offset: number } | undefined;
  /** Notes that bytes are in that place. */
  note(stream: LogStream, bytes: Uint8Array): Promise<void>;
}

/** After so much of one line reading can begin anew in its middle. */
const MAX_UNMARKED_BYTES = 1 << 20;

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

/** A place in a stream at which reading can begin anew: nothing before it matters behind it. */
interface Mark {
  units: number;
  byte: number;
  record: number;
  /** Whether the text behind it comes from the disk, where the next agent finds it as well. */
  isExact: boolean;
}

/** Reads the bytes of one stream into lines, and knows from where on they are not delivered. */
class StreamReader {
  readonly decoder: LineDecoder;
  /** How much text has come out, in UTF-16 units. */
  units = 0;
  #deliveredUnits = 0;
  readonly #marks: Mark[] = [];
  #mark: Mark;
  /** Up to where an earlier agent has delivered, until that is reached. */
  #resumeAt: StreamCursor | undefined;
  /** How much of the text that comes next is delivered. */
  #skipUnits = 0;
  /** Where the next bytes should begin; unknown behind a gap. */
  #at: number | undefined = 0;
  /** Whether the next bytes begin in a line that is left out. */
  #isCut = false;
  /** How much has come since the last mark, and whether it ends with a whole character. */
  #unmarkedBytes = 0;
  #isWhole = true;

  constructor(mask: SecretMask, hidden: string, { byte, units }: StreamCursor, record: number) {
    this.decoder = new LineDecoder(mask, { forPeople: true, hidden });
    this.#mark = { units: 0, byte, record, isExact: true };
    this.#deliveredUnits = units;
    if (byte > 0 || units > 0) this.#resumeAt = { byte, units };
  }

  /** How far delivery has come. */
  get cursor(): StreamCursor {
    const { byte, units, isExact } = this.#mark;
    // Lines that come twice are better than a part of others that is taken for them.
    return { byte, units: isExact ? this.#deliveredUnits - units : 0 };
  }

  /** How much of the text that has come out is not delivered. */
  get pendingUnits(): number {
    return Math.max(0, this.units - this.#deliveredUnits);
  }

  /** Whether something is not delivered. */
  get isPending(): boolean {
    return this.isResuming || this.pendingUnits > 0 || !this.decoder.isEmpty;
  }

  /** The place in the index where that begins. */
  get record(): number {
    return this.#mark.record;
  }

  /** Whether what an earlier agent has delivered is not passed yet. */
  get isResuming(): boolean {
    return this.#resumeAt !== undefined;
  }

  /** How many bytes before a chunk are gone. */
  missingBefore({ start, isOnDisk }: Chunk): number {
    const missing = isOnDisk && this.#at !== undefined ? start - this.#at : 0;
    if (missing > 0) this.leaveOut(true);
    return missing;
  }

  /** How many bytes of a chunk are delivered. */
  deliveredOf({ start, bytes }: Chunk): number {
    const { byte } = this.#resumeAt ?? { byte: 0 };
    return Math.max(0, Math.min(bytes.length, byte - start));
  }

  /** Begins anew at a byte, where an earlier agent would have gone on. */
  resume(byte: number): void {
    const isThere = this.#resumeAt?.byte === byte;
    this.decoder.drop();
    this.#isCut &&= !isThere;
    this.#skipUnits = isThere ? this.#resumeAt?.units ?? 0 : 0;
    this.#mark = { ...this.#mark, units: this.units, byte, isExact: true };
    this.#deliveredUnits = this.units + this.#skipUnits;
    this.#resumeAt = undefined;
  }

  /** Takes the next bytes; returns the lines that they complete. */
  take({ bytes, start, isOnDisk, record }: Chunk, nowMs: number): string {
    this.#at = isOnDisk ? start + bytes.length : start;
    if (!isOnDisk) {
      this.#setMark("", start, record);
      (this.#marks.at(-1) ?? this.#mark).isExact = false;
    }
    let begin = 0;
    if (this.#isCut) {
      begin = bytes.indexOf(NEWLINE) + 1;
      if (begin === 0) return "";
      this.#isCut = false;
    }
    const end = Math.max(begin, bytes.lastIndexOf(NEWLINE) + 1);
    let lines = "";
    this.#isWhole = true;
    if (end > begin) {
      lines = this.decoder.push(bytes.subarray(begin, end), nowMs);
      this.#setMark(lines, isOnDisk ? start + end : start, record);
      if (!isOnDisk) (this.#marks.at(-1) ?? this.#mark).isExact = false;
    }
    if (end === bytes.length) return this.#out(lines);
    lines += this.decoder.push(bytes.subarray(end), nowMs);
    this.#isWhole = (bytes.at(-1) ?? 0) < 0x80;
    this.#unmarkedBytes += bytes.length - end;
    if (this.#unmarkedBytes > MAX_UNMARKED_BYTES) {
      lines += this.decoder.show();
      this.#setMark(lines, this.#at, record);
    }
    return this.#out(lines);
  }

  /** What was begun, as a line of its own. */
  show(): string {
    const shown = this.decoder.show();
    if (this.#at !== undefined) this.#setMark(shown, this.#at, this.#mark.record);
    return this.#out(shown);
  }

  /** The last line. */
  end(): string {
    return this.#out(this.decoder.end());
  }

  /** Leaves out the line that was begun, and what follows up to its end if that is still to come. */
  leaveOut(isOpen: boolean): void {
    this.decoder.drop();
    this.#isCut = isOpen;
    this.#at = undefined;
  }

  /** Of lines that have come out those that no earlier agent has delivered. */
  withoutDelivered(lines: string): string {
    const skipped = Math.min(this.#skipUnits, lines.length);
    this.#skipUnits -= skipped;
    return lines.slice(skipped);
  }

  /** Notes that the lines up to here are delivered. */
  delivered(units: number): void {
    this.#deliveredUnits = Math.max(this.#deliveredUnits, units);
    while (this.#marks[0] && this.#marks[0].units <= this.#deliveredUnits) {
      this.#mark = this.#marks.shift() ?? this.#mark;
    }
  }

  #out(lines: string): string {
    this.units += lines.length;
    return lines;
  }

  #setMark(lines: string, byte: number, record: number): void {
    // Characters must not be parted.
    if (!this.decoder.isEmpty || !this.#isWhole) return;
    this.#unmarkedBytes = 0;
    this.#marks.push({ units: this.units + lines.length, byte, record, isExact: true });
  }
}
