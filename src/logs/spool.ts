import { LogStream } from "../control_plane/schemas.ts";
import { type Batch, countLines, type StreamPositions } from "./batch.ts";
import { BatchQueue } from "./batch_queue.ts";
import { LogMemory } from "./log_memory.ts";
import { SpoolDisk } from "./spool_disk.ts";
import { type Cursor, CursorFile, cursorPath, newCursor } from "./spool_files.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Sizes of a spool, in bytes; the defaults suit an agent that runs many tasks. */
export interface SpoolLimits {
  /** Above this lines are left on disk until those before them are delivered. */
  memory: number;
  /** Size of one file. */
  segment: number;
  /** Above this the oldest lines are given up. */
  total: number;
}

const LIMITS: SpoolLimits = { memory: 16 * KIB, segment: MIB, total: 64 * MIB };

/** What a task takes beside its spool's queues: buffers of pipes, a piece being read, an entry. */
const OVERHEAD = 192 * KIB;

/** What a spool may be given; all of it has a default. */
export interface SpoolOptions {
  /** Sizes. */
  limits?: Partial<SpoolLimits>;
  /** What all spools share. */
  memory?: LogMemory;
  /** Hears of a disk that refuses. */
  onDiskError?: (error: unknown) => void;
}

/**
 * The undelivered lines of one task, in order of arrival.
 *
 * Every batch is written to a file first, so that it outlives the agent; memory holds no more than
 * what is sent next. Where the disk refuses, memory has to do. Over 64 MiB, or in memory over what
 * all spools share, the oldest lines are given up, and a `system` line takes their place.
 */
export class Spool implements AsyncDisposable {
  /** How far delivery has come. */
  readonly cursor: Cursor;
  readonly #prefix: string;
  readonly #limits: SpoolLimits;
  readonly #shared: LogMemory;
  readonly #cursorFile: CursorFile;
  readonly #disk: SpoolDisk;
  readonly #end: StreamPositions;
  #memory: BatchQueue;
  /** What came when the backlog was on disk already and the disk refused it. */
  #overflow: BatchQueue;
  /** Of the lines left out, those that a note not delivered yet tells of. */
  #leftOutNoted = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** Files are named `<prefix>.log.N` and made when the first line comes. */
  constructor(prefix: string, options: SpoolOptions & { cursor?: Cursor } = {}) {
    const { limits, memory, onDiskError = () => {}, cursor = newCursor() } = options;
    this.#prefix = prefix;
    this.#limits = { ...LIMITS, ...limits };
    this.#disk = new SpoolDisk({ prefix, segmentBytes: this.#limits.segment, onDiskError });
    this.#shared = memory ?? new LogMemory(() => Infinity);
    this.#shared.add(OVERHEAD);
    this.#memory = new BatchQueue(this.#shared);
    this.#overflow = new BatchQueue(this.#shared);
    this.cursor = cursor;
    this.#end = { ...cursor.delivered };
    this.#cursorFile = new CursorFile(cursorPath(prefix));
  }

  /**
   * Takes up what an earlier agent left. `onBatch` gets all that is still on disk, delivered or
   * not; what is not will be delivered. `onDamaged` hears of each file that cannot be read to its
   * end: of a spool what stands before the damage counts, without a cursor lines may come twice.
   */
  static async recover(
    prefix: string,
    options: SpoolOptions & {
      onBatch: (batch: Batch) => void;
      onDamaged: (path: string) => Promise<void>;
    },
  ): Promise<Spool> {
    const { onBatch, onDamaged } = options;
    const cursor = await CursorFile.read(cursorPath(prefix), onDamaged);
    const spool = new Spool(prefix, { ...options, cursor });
    await spool.#disk.recover(cursor.delivered, (batch) => {
      spool.#end[batch.stream] = Math.max(spool.#end[batch.stream], batch.end);
      onBatch(batch);
    }, onDamaged);
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
      const spilling = this.#spilling(text.length);
      // What is on disk comes before the overflow, so nothing may follow it there.
      const written = this.#overflow.empty &&
        await this.#disk.write(batch, this.#end, !spilling);
      if (!spilling) this.#memory.push(batch);
      else if (!written) this.#overflow.push(batch);
      await this.#bound();
    });
  }

  /** Takes the oldest batch, or `undefined` when there is none. */
  shift(): Promise<Batch | undefined> {
    return this.#exclusively(async () => {
      while (this.#memory.empty) {
        // What was given up lay behind all that has been in memory so far.
        const leftOut = this.cursor.leftOut - this.#leftOutNoted;
        if (leftOut > 0 && !this.#disk.beforeGap) return this.#leftOutNote(leftOut);
        if (this.#disk.unread) await this.#read();
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
    const { delivered } = this.cursor;
    delivered[stream] = Math.max(delivered[stream], end);
    this.cursor.entries++;
    this.cursor.leftOut -= leftOut;
    this.#leftOutNoted -= leftOut;
    this.#writeCursor();
    if (this.#disk.hasDelivered(delivered)) {
      void this.#exclusively(async () => {
        while (this.#disk.hasDelivered(delivered)) await this.#disk.dropOldest();
      });
    }
  }

  /** Removes the files: the control plane has all it will get. */
  async discard(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await this.#disk.remove();
    await Deno.remove(cursorPath(this.#prefix)).catch(() => {});
  }

  /** Closes the files and leaves them for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#exclusively(() => {
      this.#disk.close();
      this.#cursorFile[Symbol.dispose]();
      if (!this.#closed) this.#shared.add(-OVERHEAD);
      this.#closed = true;
      this.#memory.detach();
      this.#overflow.detach();
      return Promise.resolve();
    });
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  #spilling(units: number): boolean {
    return this.#memory.bytes > this.#limits.memory || !this.#shared.hasRoom(units) ||
      !this.#overflow.empty || this.#disk.unread;
  }

  async #read(): Promise<void> {
    const { batches, missing } = await this.#disk.read(this.cursor.delivered);
    for (const batch of batches) this.#memory.push(batch);
    if (missing > 0) this.#leaveOut(missing);
  }

  /** The newest lines stay, however little room there is. */
  async #bound(): Promise<void> {
    const { total } = this.#limits;
    const tooMuch = this.#disk.waitingBytes + this.#overflow.bytes - total;
    await this.#disk.giveUp(tooMuch, (lines) => this.#leaveOut(lines));
    while (this.#overflow.bytes > total || !this.#shared.hasRoom(0)) {
      if (this.#overflow.size <= 1) break;
      const oldest = this.#overflow.shift();
      if (oldest) this.#leaveOut(countLines([oldest]));
    }
  }

  /** Counted on disk before they go: a kill must not turn them into lines nobody knows of. */
  #leaveOut(lines: number): void {
    this.cursor.leftOut += lines;
    this.#writeCursor();
  }

  #writeCursor(): void {
    if (this.#disk.used) this.#cursorFile.write(this.cursor);
  }

  #leftOutNote(leftOut: number): Batch {
    const text = `[… ${leftOut} lines left out: more than could be delivered …]\n`;
    this.#leftOutNoted += leftOut;
    return { stream: "system", atMs: Date.now(), text, end: this.cursor.delivered.system, leftOut };
  }
}
