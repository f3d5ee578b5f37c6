import { LogStream } from "../control_plane/schemas.ts";
import { type Batch, countLines, type StreamPositions } from "./batch.ts";
import { BatchQueue } from "./batch_queue.ts";
import { parseSegment, segmentRecord } from "./segment.ts";
import {
  type Cursor,
  CursorFile,
  cursorPath,
  listSegments,
  newCursor,
  segmentPath,
  SegmentWriter,
} from "./spool_files.ts";

const MIB = 1024 * 1024;

/** Sizes of a spool; the defaults suit an agent that runs many tasks. */
export interface SpoolLimits {
  /** Above this, in UTF-16 units, the backlog is left on disk. */
  memory: number;
  /** Size of one file, in bytes. */
  segment: number;
  /** Above this, in bytes, the oldest lines on disk are given up. */
  total: number;
}

const LIMITS: SpoolLimits = { memory: 4 * MIB, segment: MIB, total: 64 * MIB };

interface Segment {
  path: string;
  bytes: number;
  lines: number;
  /** Where its streams end. */
  end: StreamPositions;
  /** Whether its batches are, or were, in memory. */
  loaded: boolean;
  /** Whether an earlier agent left out lines that lay somewhere behind it. */
  beforeGap: boolean;
}

/**
 * The undelivered lines of one task, in order of arrival.
 *
 * Every batch is written to a file first, so that it outlives the agent; a backlog beyond the
 * memory mark is only there. Where the disk refuses, memory has to do. Over 64 MiB the oldest
 * lines on disk are given up, and a `system` line takes their place.
 */
export class Spool implements AsyncDisposable {
  /** How far delivery has come. */
  readonly cursor: Cursor;
  readonly #prefix: string;
  readonly #limits: SpoolLimits;
  readonly #onDiskError: (error: unknown) => void;
  readonly #cursorFile: CursorFile;
  readonly #segments: Segment[] = [];
  readonly #end: StreamPositions;
  #writer: SegmentWriter | undefined;
  #nextNumber = 1;
  #memory = new BatchQueue();
  /** What came when the backlog was on disk already and the disk refused it. */
  #overflow = new BatchQueue();
  /** Of the lines left out, those that a note not delivered yet tells of. */
  #leftOutNoted = 0;
  #turn: Promise<unknown> = Promise.resolve();

  /** Files are named `<prefix>.log.N` and made when the first line comes. */
  constructor(
    prefix: string,
    options: {
      limits?: Partial<SpoolLimits>;
      onDiskError?: (error: unknown) => void;
      cursor?: Cursor;
    } = {},
  ) {
    this.#prefix = prefix;
    this.#limits = { ...LIMITS, ...options.limits };
    this.#onDiskError = options.onDiskError ?? (() => {});
    this.cursor = options.cursor ?? newCursor();
    this.#end = { ...this.cursor.delivered };
    this.#cursorFile = new CursorFile(cursorPath(prefix));
  }

  /**
   * Takes up what an earlier agent left. `onBatch` gets all that is still on disk, delivered or
   * not; what is not will be delivered. `onDamaged` hears of each file that cannot be read to its
   * end: of a spool what stands before the damage counts, without a cursor lines may come twice.
   */
  static async recover(
    prefix: string,
    options: {
      limits?: Partial<SpoolLimits>;
      onDiskError: (error: unknown) => void;
      onBatch: (batch: Batch) => void;
      onDamaged: (path: string) => Promise<void>;
    },
  ): Promise<Spool> {
    const { onDiskError, onBatch, onDamaged } = options;
    const cursor = await CursorFile.read(cursorPath(prefix), onDamaged);
    const spool = new Spool(prefix, { ...options, cursor });
    for (const path of await listSegments(prefix)) {
      const content = await Deno.readTextFile(path).catch((error) => {
        onDiskError(error);
        return "";
      });
      const { batches, damaged } = parseSegment(content, newCursor().delivered);
      if (damaged) await onDamaged(path);
      for (const batch of batches) {
        spool.#end[batch.stream] = Math.max(spool.#end[batch.stream], batch.end);
        onBatch(batch);
      }
      const number = Number(path.slice(path.lastIndexOf(".") + 1));
      if (number > spool.#nextNumber) spool.#segments.forEach((each) => each.beforeGap = true);
      spool.#nextNumber = number + 1;
      spool.#segments.push({
        path,
        bytes: content.length,
        lines: countLines(parseSegment(content, cursor.delivered).batches),
        end: { ...spool.#end },
        loaded: false,
        beforeGap: false,
      });
    }
    return spool;
  }

  /** How much is not delivered yet, in UTF-16 units. */
  get undelivered(): number {
    const { delivered } = this.cursor;
    return LogStream.options.reduce((sum, each) => sum + this.#end[each] - delivered[each], 0);
  }

  /** Adds lines; resolves when they are on disk, or in memory for want of a disk. */
  push(stream: LogStream, text: string, atMs: number): Promise<void> {
    return this.#exclusively(async () => {
      this.#end[stream] += text.length;
      const batch = { stream, atMs, text, end: this.#end[stream] };
      const spilling = this.#spilling();
      // What is on disk comes before the overflow, so nothing may follow it there.
      const written = this.#overflow.empty && await this.#write(batch, !spilling);
      if (!spilling) this.#memory.push(batch);
      else if (!written) this.#overflow.push(batch);
      await this.#bound();
    });
  }

  /** Takes the oldest batch, or `undefined` when there is none. */
  shift(): Promise<Batch | undefined> {
    return this.#exclusively(async () => {
      while (this.#memory.empty) {
        const next = this.#segments.find(({ loaded }) => !loaded);
        // What was given up lay behind all that has been in memory so far.
        const leftOut = this.cursor.leftOut - this.#leftOutNoted;
        if (leftOut > 0 && !next?.beforeGap) return this.#leftOutNote(leftOut);
        if (next) await this.#load(next);
        else if (this.#overflow.empty) return undefined;
        else [this.#memory, this.#overflow] = [this.#overflow, this.#memory];
      }
      return this.#memory.shift();
    });
  }

  /**
   * Notes that the control plane has everything of `stream` up to `end`, in one more entry, and
   * knows of `leftOut` lines that it will not get.
   */
  delivered(stream: LogStream, end: number, leftOut = 0): void {
    this.cursor.delivered[stream] = Math.max(this.cursor.delivered[stream], end);
    this.cursor.entries++;
    this.cursor.leftOut -= leftOut;
    this.#leftOutNoted -= leftOut;
    this.#writeCursor();
    const oldest = this.#segments[0];
    if (oldest?.loaded && oldest.path !== this.#writer?.path && this.#isDelivered(oldest)) {
      void this.#exclusively(() => this.#drop(oldest));
    }
  }

  /** Removes the files: the control plane has all it will get. */
  async discard(): Promise<void> {
    await this[Symbol.asyncDispose]();
    for (const { path } of this.#segments) await Deno.remove(path).catch(() => {});
    await Deno.remove(cursorPath(this.#prefix)).catch(() => {});
  }

  /** Closes the files and leaves them for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#exclusively(() => {
      this.#closeWriter();
      this.#cursorFile[Symbol.dispose]();
      return Promise.resolve();
    });
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  #spilling(): boolean {
    return this.#memory.units > this.#limits.memory || !this.#overflow.empty ||
      this.#segments.some(({ loaded }) => !loaded);
  }

  async #write(batch: Batch, loaded: boolean): Promise<boolean> {
    try {
      const segment = await this.#segmentFor(batch, loaded);
      await this.#writer?.append(segmentRecord(batch));
      segment.bytes = this.#writer?.bytes ?? 0;
      segment.end = { ...this.#end };
      if (!loaded) segment.lines += countLines([batch]);
      return true;
    } catch (error) {
      // The next batch begins a new file: a gap inside one would shift what follows it.
      this.#closeWriter();
      this.#onDiskError(error);
      return false;
    }
  }

  async #segmentFor(batch: Batch, loaded: boolean): Promise<Segment> {
    const current = this.#segments.at(-1);
    const writing = this.#writer && current?.path === this.#writer.path;
    if (writing && current.loaded === loaded && current.bytes < this.#limits.segment) {
      return current;
    }
    this.#closeWriter();
    const from = { ...this.#end, [batch.stream]: batch.end - batch.text.length };
    const path = segmentPath(this.#prefix, this.#nextNumber++);
    this.#writer = await SegmentWriter.create(path, from);
    const { bytes } = this.#writer;
    const segment = { path, bytes, lines: 0, end: { ...from }, loaded, beforeGap: false };
    this.#segments.push(segment);
    return segment;
  }

  async #load(segment: Segment): Promise<void> {
    if (segment.path === this.#writer?.path) this.#closeWriter();
    segment.loaded = true;
    const content = await Deno.readTextFile(segment.path).catch((error) => {
      this.#onDiskError(error);
      this.#leaveOut(segment.lines);
      return "";
    });
    const { batches } = parseSegment(content, this.cursor.delivered);
    for (const batch of batches) this.#memory.push(batch);
  }

  async #bound(): Promise<void> {
    const waiting = this.#segments.filter(({ loaded }) => !loaded);
    let bytes = waiting.reduce((sum, segment) => sum + segment.bytes, 0) + this.#overflow.units;
    for (const oldest of waiting) {
      if (bytes <= this.#limits.total || oldest.path === this.#writer?.path) break;
      bytes -= oldest.bytes;
      this.#leaveOut(oldest.lines);
      await this.#drop(oldest);
    }
    while (this.#overflow.units > this.#limits.total) {
      const oldest = this.#overflow.shift();
      if (!oldest) break;
      this.#leaveOut(countLines([oldest]));
    }
  }

  /** Counted on disk before they go: a kill must not turn them into lines nobody knows of. */
  #leaveOut(lines: number): void {
    this.cursor.leftOut += lines;
    this.#writeCursor();
  }

  #writeCursor(): void {
    if (this.#nextNumber > 1) this.#cursorFile.write(this.cursor);
  }

  #leftOutNote(leftOut: number): Batch {
    const text = `[… ${leftOut} lines left out: more than could be delivered …]\n`;
    this.#leftOutNoted += leftOut;
    return { stream: "system", atMs: Date.now(), text, end: this.cursor.delivered.system, leftOut };
  }

  #isDelivered({ end }: Segment): boolean {
    const { delivered } = this.cursor;
    return end.stdout <= delivered.stdout && end.stderr <= delivered.stderr &&
      end.system <= delivered.system;
  }

  async #drop(segment: Segment): Promise<void> {
    const index = this.#segments.indexOf(segment);
    if (index < 0) return;
    this.#segments.splice(index, 1);
    await Deno.remove(segment.path).catch(() => {});
  }

  #closeWriter(): void {
    this.#writer?.[Symbol.dispose]();
    this.#writer = undefined;
  }
}
