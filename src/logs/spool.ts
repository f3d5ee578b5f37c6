import type { LogStream } from "../control_plane/schemas.ts";
import { Mutex } from "../system/mutex.ts";
import { type Chunk, SpoolDisk } from "./spool_disk.ts";
import { type Cursor, Gap, newCursor, recordOf } from "./spool_index.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Sizes of a spool, in bytes; the defaults suit an agent that runs many tasks. */
export interface SpoolLimits {
  /** What is delivered is given back to the disk in steps of this size, and so is what is given up. */
  step: number;
  /** Above this the oldest bytes are given up. */
  total: number;
}

const LIMITS: SpoolLimits = { step: MIB, total: 64 * MIB };

/** What a task takes beside what its spool holds: buffers of pipes, a piece being read, an entry. */
const OVERHEAD = 192 * KIB;
/** What a chunk costs in memory beside its bytes, as a rough figure. */
const CHUNK_OVERHEAD = 200;

/** What a spool may be given; all of it has a default. */
export interface SpoolOptions {
  /** Sizes. */
  limits?: Partial<SpoolLimits>;
  /** What all spools share. */
  memory?: LogMemory;
  /** Hears of a disk that refuses. */
  onDiskError?: (error: unknown) => void;
}

/** The memory that all spools together may hold output in that the disk refuses: the oldest makes room. */
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

  /** Whether more is held than may be. */
  get isOver(): boolean {
    return this.#used > this.#limit();
  }

  /** Notes that so many bytes more are held, or fewer if it is negative. */
  add(bytes: number): void {
    this.#used += bytes;
  }
}

/**
 * What one task has printed and the control plane does not have yet: raw bytes, in order of arrival.
 *
 * All of it is written to files, so that it outlives the agent, and read from there. Where the disk
 * refuses, memory has to do. Over 64 MiB, or in memory over what all spools share, the oldest is
 * given up, and a {@linkcode Gap} takes its place.
 */
export class Spool implements AsyncDisposable {
  /** How far delivery has come. */
  #cursor = newCursor();
  readonly #limits: SpoolLimits;
  readonly #onDiskError: (error: unknown) => void;
  readonly #shared: LogMemory;
  readonly #disk: SpoolDisk;
  /** What the disk refused: each comes where the index was then. */
  readonly #overflow: ChunkQueue;
  readonly #turns = new Mutex();
  #closed = false;

  /** Files are named `<prefix>.<stream>` and `<prefix>.index`, and made when the first bytes come. */
  constructor(prefix: string, options: SpoolOptions = {}) {
    const { limits, memory, onDiskError = () => {} } = options;
    this.#limits = { ...LIMITS, ...limits };
    this.#onDiskError = onDiskError;
    this.#disk = new SpoolDisk(prefix, this.#limits.step, onDiskError);
    this.#shared = memory ?? new LogMemory(() => Infinity);
    this.#shared.add(OVERHEAD);
    this.#overflow = new ChunkQueue(this.#shared);
  }

  /**
   * Takes up what an earlier agent left: all that is still on disk is read again, delivered or not,
   * and the cursor tells which is. `onDamaged` hears of a file that cannot be read; without a cursor
   * output may come twice.
   */
  static async recover(
    prefix: string,
    options: SpoolOptions & { onDamaged: (path: string) => Promise<void> },
  ): Promise<Spool> {
    const spool = new Spool(prefix, options);
    spool.#cursor = await spool.#disk.recover(options.onDamaged);
    return spool;
  }

  /** How far delivery has come. */
  get cursor(): Readonly<Cursor> {
    return this.#cursor;
  }

  /** How much waits to be read, in bytes. */
  get unreadBytes(): number {
    return this.#disk.waitingBytes + this.#overflow.bytes;
  }

  /** Where others may put the next bytes of a stream by themselves, before they are noted. */
  placeOf(stream: LogStream): { path: string; offset: number } | undefined {
    return this.#disk.placeOf(stream);
  }

  /**
   * Adds bytes, or notes those that are in their place already; resolves when they are on disk, or
   * in memory for want of a disk.
   */
  append(stream: LogStream, bytes: Uint8Array, atMs: number, areThere = false): Promise<void> {
    return this.#turns.take(async () => {
      const record = recordOf(stream, atMs, this.#disk.endOf(stream), bytes);
      if (!await this.#disk.write(record, bytes, areThere)) {
        const { isOpen, lines, start } = record;
        const chunk = { stream, atMs, bytes: bytes.slice(), start, isOnDisk: false, isOpen, lines };
        const { indexEnd } = this.#disk;
        this.#overflow.push({ ...chunk, record: indexEnd, [Symbol.dispose]: () => {} });
      }
      await this.#bound();
    });
  }

  /** Takes the oldest bytes, or what is missing in their place; `undefined` when there is nothing. */
  next(): Promise<Chunk | Gap | undefined> {
    return this.#turns.take(async () => {
      const isOnDisk = this.#disk.nextRecord < Math.min(this.#overflow.record, this.#disk.indexEnd);
      return (isOnDisk ? await this.#disk.read() : undefined) ?? this.#overflow.shift();
    });
  }

  /** Notes how far delivery has come with one more entry, and which gaps the entry told of. */
  delivered(cursor: Omit<Cursor, "entries">, gaps: readonly Gap[] = []): void {
    for (const gap of gaps) {
      gap.lines = 0;
      this.#disk.writeGap(gap);
    }
    const before = this.#cursor;
    this.#cursor = { ...cursor, entries: before.entries + 1 };
    this.#disk.delivered(before, this.#cursor);
  }

  /** Removes the files: the control plane has all it will get. */
  async discard(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await this.#disk.remove();
  }

  /** Closes the files and leaves them for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turns.take(() => {
      this.#disk.close();
      if (!this.#closed) this.#shared.add(-OVERHEAD);
      this.#closed = true;
      this.#overflow.detach();
      return Promise.resolve();
    });
  }

  /** The newest bytes stay, however little room there is. */
  async #bound(): Promise<void> {
    const { total, step } = this.#limits;
    const disk = this.#disk;
    while (disk.waitingBytes + disk.waitingIndexBytes + this.#overflow.bytes - step > total) {
      try {
        if (!await disk.giveUp(this.#cursor)) break;
      } catch (error) {
        this.#onDiskError(error);
        break;
      }
    }
    while (this.#overflow.bytes > total || this.#shared.isOver) {
      if (!this.#overflow.giveUpOldest()) break;
    }
  }
}

/** A chunk in memory, with what the index would say of it. */
export type QueuedChunk = Chunk & { lines: number; isOpen: boolean };

/** Chunks in order of arrival, perhaps behind a gap. Taking one costs the same however many wait. */
export class ChunkQueue {
  #memory: LogMemory | undefined;
  #gap: Gap | undefined;
  #gapRecord = 0;
  #chunks: QueuedChunk[] = [];
  #next = 0;
  #bytes = 0;

  /** `memory` is told what the chunks take. */
  constructor(memory: LogMemory) {
    this.#memory = memory;
  }

  /** What the chunks take in memory, roughly, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether nothing waits. */
  get empty(): boolean {
    return this.#chunks.length === this.#next && !this.#gap;
  }

  /** Where the oldest is in the index; `Infinity` if there is none. */
  get record(): number {
    return this.#gap ? this.#gapRecord : this.#chunks[this.#next]?.record ?? Infinity;
  }

  /** Adds the newest. */
  push(chunk: QueuedChunk): void {
    this.#chunks.push(chunk);
    this.#count(chunk.bytes.length + CHUNK_OVERHEAD);
  }

  /** Takes the oldest, if there is one. */
  shift(): Chunk | Gap | undefined {
    const gap = this.#gap;
    this.#gap = undefined;
    return gap ?? this.#shiftChunk();
  }

  /** Leaves the oldest chunk out; false if it is the newest as well. */
  giveUpOldest(): boolean {
    if (this.#chunks.length - this.#next <= 1) return false;
    const chunk = this.#shiftChunk();
    if (!chunk) return false;
    if (!this.#gap) [this.#gap, this.#gapRecord] = [new Gap(), chunk.record];
    this.#gap.add({ ...chunk, length: chunk.bytes.length });
    return true;
  }

  /** Counts for the memory no more: nobody will take what waits. */
  detach(): void {
    this.#memory?.add(-this.#bytes);
    this.#memory = undefined;
  }

  #shiftChunk(): QueuedChunk | undefined {
    const chunk = this.#chunks[this.#next];
    if (!chunk) return undefined;
    this.#count(-chunk.bytes.length - CHUNK_OVERHEAD);
    this.#next++;
    // `Array.shift` moves all that is behind.
    if (this.#next * 2 > this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#next);
      this.#next = 0;
    }
    return chunk;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#memory?.add(bytes);
  }
}
