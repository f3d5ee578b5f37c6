import { LogStream } from "../control_plane/schemas.ts";
import { punchHole } from "../system/libc.ts";
import { openOwn } from "../system/own_file.ts";
import { writeAll } from "../system/atomic_file.ts";
import {
  type ChunkRecord,
  type Cursor,
  endsTooSoon,
  freedTo,
  Gap,
  HEADER_BYTES,
  IndexFile,
  KEPT_BYTES,
  newCursor,
  RECORD_BYTES,
  recordOf,
} from "./spool_index.ts";
import { findSpool, type LeftSpool } from "./spool_recovery.ts";

/** How much may be lost to a power cut, in milliseconds of output. */
const SYNC_EVERY_MS = 1_000;
/** On a file system that gives nothing back no more of a stream is written than this. */
const MAX_GROWN_BYTES = 128 * 1024 * 1024;
/** Bytes of a stream that came together, or a part of them. */
export interface Chunk extends Disposable {
  /** Where they came from. */
  stream: LogStream;
  /** When they were read, in milliseconds since the epoch. */
  atMs: number;
  /** The bytes, until they are disposed of. */
  bytes: Uint8Array;
  /** Where they begin in the stream's file; those that are not on disk take no room in it. */
  start: number;
  /** Whether they are on disk. */
  isOnDisk: boolean;
  /** Where they are in the index. */
  record: number;
}

/**
 * The files of one task's output: the bytes of each stream as they came (`<prefix>.stdout`, …), and
 * an index (`<prefix>.index`) of which came when and how far delivery has come. All are 0600, made
 * with the first bytes. What is delivered is given back to the disk while more is written.
 */
export class SpoolDisk {
  readonly #prefix: string;
  readonly #stepBytes: number;
  readonly #onError: (error: unknown) => void;
  readonly #files = new Map<LogStream, Deno.FsFile>();
  readonly #index: IndexFile;
  /** What is open to be read alone: a disk that takes nothing any more, an earlier agent's files. */
  readonly #readers = new Map<LogStream, Deno.FsFile>();
  /** The files that may be there: a full disk takes files, and nothing of what is in them. */
  readonly #made = new Set<SpoolFile>();
  #indexEnd = HEADER_BYTES;
  readonly #ends: Record<LogStream, number> = { stdout: 0, stderr: 0, system: 0 };
  /** The record that is read next, and how much of its bytes was read. */
  #next = HEADER_BYTES;
  #within = 0;
  /** What an earlier agent has given back, see {@linkcode freedTo}. */
  #freed: Partial<Record<LogStream, number>> = {};
  #syncedAtMs = performance.now();
  /** Whether the file system gives nothing back. */
  #isGrowing = false;
  /** How much waits to be read, in bytes. */
  waitingBytes = 0;
  /** What the index takes of that, in bytes. */
  waitingIndexBytes = 0;
  /** How many lines of it end. */
  #waitingLines = 0;

  /** What is given back or given up comes in steps of so many bytes; `onError` hears of a disk that refuses. */
  constructor(prefix: string, stepBytes: number, onError: (error: unknown) => void) {
    this.#prefix = prefix;
    this.#index = new IndexFile(`${prefix}.index`);
    this.#stepBytes = stepBytes;
    this.#onError = onError;
  }

  /** Whether there is any file. */
  get used(): boolean {
    return this.#indexEnd > HEADER_BYTES;
  }

  /** The place in the index of what is read next. */
  get nextRecord(): number {
    return this.#next;
  }

  /** Where the next bytes of a stream go in its file. */
  endOf(stream: LogStream): number {
    return this.#ends[stream];
  }

  /** The place in the index where the next bytes are noted. */
  get indexEnd(): number {
    return this.#indexEnd;
  }

  /**
   * Takes up the files of an earlier agent, to be read from their beginning, and returns its cursor.
   * Bytes that are in no index are the newest ones. `onDamaged` hears of an index that cannot be read.
   */
  async recover(onDamaged: (path: string) => Promise<void>): Promise<Cursor> {
    const left = await findSpool(this.#prefix, this.#stepBytes, this.#onError);
    const cursor = left.cursor ?? newCursor();
    if (left.isMade) SPOOL_FILES.forEach((name) => this.#made.add(name));
    this.#indexEnd = left.indexEnd;
    for (const record of left.records.values()) {
      const { stream, start, length } = record;
      this.#ends[stream] = Math.max(this.#ends[stream], start + length);
      this.#wait(record, 1);
    }
    for (const stream of LogStream.options) {
      this.#freed[stream] = freedTo(cursor.streams[stream].byte, this.#stepBytes);
    }
    if (left.isDamaged) await onDamaged(this.#path("index"));
    if (left.isUsed) await this.#repairIndex(left).catch(this.#onError);
    return cursor;
  }

  /** Where others may put the next bytes of a stream by themselves; undefined where none may grow. */
  placeOf(stream: LogStream): { path: string; offset: number } | undefined {
    const offset = this.#ends[stream];
    if (this.#isGrowing && offset > MAX_GROWN_BYTES) return undefined;
    this.#made.add(stream).add("index");
    return { path: this.#path(stream), offset };
  }

  /** Adds bytes, or notes those that are in their place already; false if the disk refuses. */
  async write(record: ChunkRecord, bytes: Uint8Array, areThere = false): Promise<boolean> {
    const { stream, start } = record;
    this.#made.add(stream).add("index");
    try {
      if (this.#isGrowing && start > MAX_GROWN_BYTES) {
        throw new Error("the file system takes nothing back of a file that is written");
      }
      const file = await this.#open(stream);
      if (!areThere) {
        seek(file, start);
        await writeAll(file, bytes);
      }
      this.#index.writeRecord(record, this.#indexEnd);
      const now = performance.now();
      if (now - this.#syncedAtMs >= SYNC_EVERY_MS) {
        this.#syncedAtMs = now;
        await file.syncData();
        await this.#index.sync();
      }
    } catch (error) {
      // What a full disk took in part is taken back.
      await this.#files.get(stream)?.truncate(start).catch(() => {});
      await this.#index.truncate(this.#indexEnd).catch(() => {});
      this.#onError(error);
      return false;
    }
    this.#ends[stream] += bytes.length;
    this.#indexEnd += RECORD_BYTES;
    this.#wait(record, 1);
    return true;
  }

  /** The next bytes, or what is missing in their place. */
  async read(): Promise<Chunk | Gap | undefined> {
    const lost = new Gap();
    while (this.#next < this.#indexEnd) {
      try {
        const record = await this.#recordAt(this.#next);
        if (record instanceof Gap) {
          if (lost.streams.size > 0) return lost;
          this.#next = record.place?.to ?? this.#indexEnd;
          return record;
        }
        const chunk = record && await this.#readBytes(record);
        if (chunk && lost.streams.size > 0) {
          chunk[Symbol.dispose]();
          return lost;
        }
        const isRead = !chunk ||
          chunk.start + chunk.bytes.length === (record?.start ?? 0) + (record?.length ?? 0);
        if (chunk && record) this.#within = chunk.start + chunk.bytes.length - record.start;
        if (isRead) this.#pass(record);
        if (chunk) return chunk;
      } catch (error) {
        this.#onError(error);
        const record = await this.#recordAt(this.#next).catch(() => undefined);
        if (record && !(record instanceof Gap)) {
          lost.add(record);
          this.#pass(record);
          continue;
        }
        lost.lines += this.#waitingLines;
        for (const stream of LogStream.options) lost.streams.set(stream, false);
        this.#next = this.#indexEnd;
        this.waitingBytes =
          this.waitingIndexBytes =
          this.#waitingLines =
          this.#within =
            0;
      }
    }
    return lost.streams.size > 0 ? lost : undefined;
  }

  /**
   * Gives up the oldest of what waits, a step of it, but for the newest bytes; false if there is no
   * more, or the disk does not take the gap in its place.
   *
   * @throws what keeps the index from being read.
   */
  async giveUp({ streams }: Cursor): Promise<boolean> {
    const at = this.#within > 0 ? this.#next + RECORD_BYTES : this.#next;
    const gap = new Gap();
    const holes = new Map<LogStream, { from: number; to: number }>();
    const records: ChunkRecord[] = [];
    let given = 0;
    let to = at;
    while (given < this.#stepBytes && to + RECORD_BYTES < this.#indexEnd) {
      const record = await this.#recordAt(to);
      if (record instanceof Gap) {
        gap.lines += record.lines;
        gap.bytes += record.bytes;
        record.streams.forEach((isOpen, stream) => gap.streams.set(stream, isOpen));
        to = record.place?.to ?? to + RECORD_BYTES;
        continue;
      }
      to += RECORD_BYTES;
      if (!record) continue;
      const end = record.start + record.length;
      gap.add(end <= streams[record.stream].byte ? { ...record, lines: 0, isOpen: false } : record);
      given += record.length + RECORD_BYTES;
      records.push(record);
      holes.set(record.stream, { from: holes.get(record.stream)?.from ?? record.start, to: end });
    }
    if (given === 0) return false;
    gap.place = { at, to };
    if (!this.writeGap(gap)) return false;
    for (const record of records) this.#wait(record, -1);
    for (const [stream, hole] of holes) this.#giveBack(stream, hole.from, hole.to);
    this.#giveBack("index", at + RECORD_BYTES, to);
    return true;
  }

  /** Writes a gap down as it is now: how much is missing, or that this was told; false if it cannot. */
  writeGap(gap: Gap): boolean {
    if (!gap.place) return true;
    try {
      this.#index.writeRecord(gap, gap.place.at);
      return true;
    } catch (error) {
      this.#onError(error);
      return false;
    }
  }

  /** Writes down how far delivery has come, and gives back what nobody needs any more. */
  delivered(before: Cursor, cursor: Cursor): void {
    if (!this.used) return;
    try {
      this.#index.writeCursor(cursor);
    } catch {
      // A full disk: after a crash some lines may come twice, which beats losing them.
      return;
    }
    this.#free("index", before.record, cursor.record);
    for (const stream of LogStream.options) {
      this.#free(stream, before.streams[stream].byte, cursor.streams[stream].byte);
    }
  }

  /** Removes the files. */
  async remove(): Promise<void> {
    this.close();
    await removeSpool(this.#prefix, this.#made);
  }

  /** Closes what is open; the files stay. */
  close(): void {
    this.#index.close();
    for (const files of [this.#files, this.#readers]) {
      for (const file of files.values()) file.close();
      files.clear();
    }
  }

  #path(name: string): string {
    return `${this.#prefix}.${name}`;
  }

  async #open(stream: LogStream): Promise<Deno.FsFile> {
    const open = this.#files.get(stream);
    if (open) return open;
    const file = await openOwn(this.#path(stream), { read: true, write: true, create: true });
    this.#files.set(stream, file);
    return file;
  }

  /** What is open to be written serves as well. */
  async #openToRead(stream: LogStream): Promise<Deno.FsFile> {
    const open = this.#files.get(stream) ?? this.#readers.get(stream);
    if (open) return open;
    const file = await openOwn(this.#path(stream), { read: true });
    this.#readers.set(stream, file);
    return file;
  }

  #recordAt(at: number): Promise<ChunkRecord | Gap | undefined> {
    return this.#index.recordAt(at, this.#indexEnd);
  }

  #wait({ length, lines }: ChunkRecord, sign: 1 | -1): void {
    this.waitingBytes += sign * length;
    this.waitingIndexBytes += sign * RECORD_BYTES;
    this.#waitingLines += sign * lines;
  }

  #pass(record: ChunkRecord | undefined): void {
    this.#next += RECORD_BYTES;
    this.#within = 0;
    if (record) this.#wait(record, -1);
  }

  /** Some of the bytes of a record, behind those that were read; `undefined` if none are left. */
  async #readBytes(record: ChunkRecord): Promise<Chunk | undefined> {
    const { stream, atMs, start, length } = record;
    const freed = this.#freed[stream] ?? 0;
    let from = start + this.#within;
    let end = start + length;
    if (from < freed && from < KEPT_BYTES) end = Math.min(end, KEPT_BYTES);
    else if (from < freed) from = Math.min(freed, end);
    if (from >= end) return undefined;
    const buffer = new ByteBuffer();
    try {
      const bytes = buffer.bytes.subarray(0, Math.min(end - from, buffer.bytes.length));
      await readAt(await this.#openToRead(stream), from, bytes);
      const dispose = () => buffer[Symbol.dispose]();
      return {
        stream,
        atMs,
        bytes,
        start: from,
        isOnDisk: true,
        record: this.#next,
        [Symbol.dispose]: dispose,
      };
    } catch (error) {
      buffer[Symbol.dispose]();
      throw error;
    }
  }

  #free(name: LogStream | "index", before: number, now: number): void {
    const from = Math.max(KEPT_BYTES, freedTo(before, this.#stepBytes));
    this.#giveBack(name, from, freedTo(now, this.#stepBytes));
  }

  #giveBack(name: LogStream | "index", from: number, to: number): void {
    if (to <= from) return;
    this.#isGrowing ||= !punchHole(this.#path(name), from, to);
  }

  /** Makes the index true: bytes that an agent wrote, and died before it noted them, are noted. */
  async #repairIndex({ cut, sizes }: LeftSpool): Promise<void> {
    this.#index.open();
    cut.forEach((record, at) => this.#index.writeRecord(record, at));
    await this.#index.truncate(this.#indexEnd);
    for (const stream of LogStream.options) {
      for (let start = this.#ends[stream]; start < sizes[stream]; start = this.#ends[stream]) {
        using buffer = new ByteBuffer();
        const bytes = buffer.bytes.subarray(0, sizes[stream] - start);
        await readAt(await this.#open(stream), start, bytes);
        const record = recordOf(stream, Date.now(), start, bytes);
        this.#index.writeRecord(record, this.#indexEnd);
        this.#indexEnd += RECORD_BYTES;
        this.#ends[stream] += bytes.length;
        this.#wait(record, 1);
      }
    }
  }
}

type SpoolFile = LogStream | "index";
const SPOOL_FILES: readonly SpoolFile[] = [...LogStream.options, "index"];

/** Removes the files of a spool that nobody has open, those that are there; all of them, unless told. */
export async function removeSpool(
  prefix: string,
  names: Iterable<string> = SPOOL_FILES,
): Promise<void> {
  const removals = Array.from(names, (name) => Deno.remove(`${prefix}.${name}`).catch(() => {}));
  await Promise.all(removals);
}

function seek(file: Deno.FsFile, at: number): void {
  file.seekSync(at, Deno.SeekMode.Start);
}

async function readAt(file: Deno.FsFile, at: number, bytes: Uint8Array): Promise<void> {
  seek(file, at);
  for (let read = 0; read < bytes.length;) {
    read += await file.read(bytes.subarray(read)) ?? endsTooSoon();
  }
}

const free: Uint8Array<ArrayBuffer>[] = [];
/** So many buffers that nobody uses are kept. */
const KEPT_BUFFERS = 16;

/**
 * A buffer that is used again by whoever takes the next one: with many tasks the garbage would be
 * more than all that they hold.
 */
class ByteBuffer implements Disposable {
  /** The bytes, whatever they hold. */
  readonly bytes: Uint8Array<ArrayBuffer> = free.pop() ?? new Uint8Array(32 * 1024);

  /** Gives the bytes back: nobody may use them any more. */
  [Symbol.dispose](): void {
    if (free.length < KEPT_BUFFERS) free.push(this.bytes);
  }
}
