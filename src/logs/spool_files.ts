import { basename, dirname, join } from "@std/path";
import type { StreamPositions } from "./batch.ts";
import { ByteBuffer } from "./byte_buffer.ts";
import { segmentHeader } from "./segment.ts";
import { openOwn, openOwnSync, readOwn } from "../system/own_file.ts";
import { writeAll } from "../system/write_all.ts";

/** How much may be lost to a power cut, in milliseconds of output. */
const SYNC_EVERY_MS = 1_000;

/** How far delivery has come, written after each entry that the control plane has. */
export interface Cursor {
  /** What is delivered of each stream. */
  delivered: StreamPositions;
  /** Entries the task has used. */
  entries: number;
  /** Lines that were given up and not yet told of. */
  leftOut: number;
}

/** A cursor at the beginning. */
export function newCursor(): Cursor {
  return { delivered: { stdout: 0, stderr: 0, system: 0 }, entries: 0, leftOut: 0 };
}

/** One segment that is being written. */
export class SegmentWriter implements Disposable {
  /** Where it is. */
  readonly path: string;
  /** Its size in bytes. */
  bytes = 0;
  readonly #file: Deno.FsFile;
  #syncedAtMs = performance.now();

  private constructor(path: string, file: Deno.FsFile) {
    this.path = path;
    this.#file = file;
  }

  /** Creates the file (0600) with its first line. */
  static async create(path: string, from: StreamPositions): Promise<SegmentWriter> {
    const file = await openOwn(path, { write: true, create: true });
    const writer = new SegmentWriter(path, file);
    try {
      await file.truncate();
      await writer.append(segmentHeader(from));
    } catch (error) {
      file.close();
      await Deno.remove(path).catch(() => {});
      throw error;
    }
    return writer;
  }

  /** Appends; what a full disk took only in part is taken back, and so is what it cannot keep. */
  async append(...texts: string[]): Promise<void> {
    const before = this.bytes;
    try {
      for (const text of texts) await this.#write(text);
      await this.#syncNowAndThen();
    } catch (error) {
      this.bytes = before;
      await this.#file.truncate(before).catch(() => {});
      throw error;
    }
  }

  /** Closes the file; what it holds stays. */
  [Symbol.dispose](): void {
    this.#file.close();
  }

  async #write(text: string): Promise<void> {
    using buffer = new ByteBuffer();
    for (let at = 0; at < text.length;) {
      const { read, written } = new TextEncoder().encodeInto(text.slice(at), buffer.bytes);
      await writeAll(this.#file, buffer.bytes.subarray(0, written));
      at += read;
      this.bytes += written;
    }
  }

  async #syncNowAndThen(): Promise<void> {
    const now = performance.now();
    if (now - this.#syncedAtMs < SYNC_EVERY_MS) return;
    this.#syncedAtMs = now;
    await this.#file.syncData();
  }
}

const CURSOR = /^(\d+) (\d+) (\d+) (\d+) (\d+) *\n$/;

/** Keeps the cursor of a task in a file, so that nothing is delivered twice after a crash. */
export class CursorFile implements Disposable {
  readonly #path: string;
  #file: Deno.FsFile | undefined;

  /** The file is made with the first {@linkcode CursorFile.write}. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Reads a cursor back; without a usable file it stands at the beginning. */
  static async read(path: string, onDamaged: (path: string) => Promise<void>): Promise<Cursor> {
    const text = await readOwn(path).catch(() => "");
    const match = CURSOR.exec(text);
    if (!match) {
      if (text !== "") await onDamaged(path);
      return newCursor();
    }
    const [stdout = 0, stderr = 0, system = 0, entries = 0, leftOut = 0] = match.slice(1).map(
      Number,
    );
    return { delivered: { stdout, stderr, system }, entries, leftOut };
  }

  /** One small write at a fixed place, which a kill cannot tear. Failing is as good as no file. */
  write({ delivered: { stdout, stderr, system }, entries, leftOut }: Cursor): void {
    const line = `${stdout} ${stderr} ${system} ${entries} ${leftOut}`.padEnd(95) + "\n";
    try {
      this.#file ??= openOwnSync(this.#path, { write: true, create: true });
      this.#file.seekSync(0, Deno.SeekMode.Start);
      this.#file.writeSync(new TextEncoder().encode(line));
    } catch {
      // A full disk: after a crash some lines may come twice, which beats losing them.
    }
  }

  /** Closes the file; what it holds stays. */
  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = undefined;
  }
}

/** The segments that belong to `prefix`, oldest first. */
export async function listSegments(prefix: string): Promise<string[]> {
  const start = `${basename(prefix)}.log.`;
  const numbers: number[] = [];
  for await (const { name } of Deno.readDir(dirname(prefix))) {
    if (name.startsWith(start)) numbers.push(Number(name.slice(start.length)));
  }
  return numbers.filter(Number.isInteger).sort((a, b) => a - b).map((n) => segmentPath(prefix, n));
}

/** Where the segment with this number is. */
export function segmentPath(prefix: string, number: number): string {
  return join(dirname(prefix), `${basename(prefix)}.log.${number}`);
}

/** Where the cursor is. */
export function cursorPath(prefix: string): string {
  return `${prefix}.cursor`;
}
