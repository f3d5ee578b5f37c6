import { LogStream } from "../control_plane/schemas.ts";
import { openOwn, openOwnSync } from "../system/own_file.ts";

/** Of the index: the cursor, and behind it records of one size; in bytes. */
export const HEADER_BYTES = 128;
/** The byte that ends a line. */
export const NEWLINE = 10;
/** The size of a record. */
export const RECORD_BYTES = 64;
/** So many records are read at once. */
const PAGE_RECORDS = 64;
/** Of each file so much of the beginning stays, for the summary of the output; in bytes. */
export const KEPT_BYTES: number = 64 * 1024;

/** What the index says of bytes that came together. */
export interface ChunkRecord {
  /** Where they came from. */
  stream: LogStream;
  /** When they were read, in milliseconds since the epoch. */
  atMs: number;
  /** Where they begin in the stream's file. */
  start: number;
  /** How many they are. */
  length: number;
  /** How many newlines are among them. */
  lines: number;
  /** Whether they end in the middle of a line. */
  isOpen: boolean;
}

/** Output that was given up. The lines that it cuts are left out as a whole. */
export class Gap {
  /** How many lines are missing; 0 if that was told already. */
  lines = 0;
  /** How many bytes. */
  bytes = 0;
  /** The streams with something missing, and whether the line that is cut goes on behind the gap. */
  readonly streams = new Map<LogStream, boolean>();
  /** Where it is in the index, and where the index goes on; of one on disk. */
  place: { at: number; to: number } | undefined;

  /** Adds what comes next. */
  add(
    { stream, lines, length, isOpen }: Pick<ChunkRecord, "stream" | "lines" | "length" | "isOpen">,
  ): void {
    this.lines += lines - Number(this.streams.get(stream) ?? false) + Number(isOpen);
    this.bytes += length;
    this.streams.set(stream, isOpen);
  }
}

/** How far the delivery of one stream has come: a place in its file, and units of text behind it. */
export interface StreamCursor {
  /** A byte at which reading can begin anew. */
  byte: number;
  /** How much of the text behind it is delivered, in UTF-16 units. */
  units: number;
}

/** How far delivery has come, written after each entry that the control plane has. */
export interface Cursor {
  /** What is delivered of each stream. */
  streams: Record<LogStream, StreamCursor>;
  /** Entries the task has used. */
  entries: number;
  /** The place in the index before which nothing is needed for delivery any more. */
  record: number;
}

/** A cursor at the beginning. */
export function newCursor(): Cursor {
  const start = () => ({ byte: 0, units: 0 });
  const streams = { stdout: start(), stderr: start(), system: start() };
  return { streams, entries: 0, record: HEADER_BYTES };
}

/** What the index says of bytes that begin at `start`. */
export function recordOf(
  stream: LogStream,
  atMs: number,
  start: number,
  bytes: Uint8Array,
): ChunkRecord {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  const isOpen = bytes.at(-1) !== NEWLINE;
  return { stream, atMs, start, length: bytes.length, lines, isOpen };
}

const CURSOR = /^spool 1((?: \d+){8}) *\n$/;
const CHUNK = /^(stdout|stderr|system) (\d+) (\d+) (\d+) (\d+) ([01]) *\n$/;
const GAP = /^gap (\d+) (\d+) (\d+) ([-co]{3}) *\n$/;

/** A cursor as the index has it at its beginning. */
function cursorText({ streams, entries, record }: Cursor): string {
  const places = LogStream.options.map((each) => `${streams[each].byte} ${streams[each].units}`);
  return `spool 1 ${entries} ${record} ${places.join(" ")}`.padEnd(HEADER_BYTES - 1) + "\n";
}

/** The cursor at the beginning of an index; `undefined` if there is none. */
export function parseCursor(text: string): Cursor | undefined {
  const match = CURSOR.exec(text);
  if (!match) return undefined;
  const [entries = 0, record = 0, ...places] = (match[1] ?? "").trim().split(" ").map(Number);
  const cursor: Cursor = { ...newCursor(), entries, record };
  LogStream.options.forEach((stream, index) => {
    const [byte = 0, units = 0] = places.slice(2 * index);
    cursor.streams[stream] = { byte, units };
  });
  return cursor;
}

/** A record of bytes, or of a gap after which the index goes on at `to`. */
function recordText(record: ChunkRecord | Gap): string {
  const fields = record instanceof Gap
    ? ["gap", record.lines, record.place?.to ?? 0, record.bytes, flagsOf(record)]
    : [
      record.stream,
      record.atMs,
      record.start,
      record.length,
      record.lines,
      Number(record.isOpen),
    ];
  return fields.join(" ").padEnd(RECORD_BYTES - 1) + "\n";
}

/** What a record at the place `at` says; `undefined` if it is none. */
export function parseRecord(text: string, at: number): ChunkRecord | Gap | undefined {
  const chunk = CHUNK.exec(text);
  if (chunk) {
    const [atMs = 0, start = 0, length = 0, lines = 0, isOpen] = chunk.slice(2).map(Number);
    return { stream: LogStream.parse(chunk[1]), atMs, start, length, lines, isOpen: isOpen === 1 };
  }
  const match = GAP.exec(text);
  if (!match) return undefined;
  const gap = new Gap();
  const [lines = 0, to = 0, bytes = 0] = match.slice(1, 4).map(Number);
  Object.assign(gap, { lines, bytes, place: { at, to } });
  LogStream.options.forEach((stream, index) => {
    const flag = match[4]?.[index];
    if (flag !== "-") gap.streams.set(stream, flag === "o");
  });
  return gap;
}

function flagsOf({ streams }: Gap): string {
  return LogStream.options.map((each) => !streams.has(each) ? "-" : streams.get(each) ? "o" : "c")
    .join("");
}

/**
 * Up to where a file is given back, behind what is kept of its beginning, when so much of it is
 * delivered: 0 for not at all. It depends on nothing else, so that the next agent knows it as well.
 */
export function freedTo(delivered: number, stepBytes: number): number {
  const end = Math.floor((delivered - KEPT_BYTES) / stepBytes) * stepBytes;
  return end > KEPT_BYTES ? end : 0;
}

/** In the place of bytes that are not there. */
export function endsTooSoon(): never {
  throw new Error("a file of the spool is shorter than its index says");
}

/** The index as a file: it is opened when it is needed, and made with the first record. */
export class IndexFile {
  readonly #path: string;
  #file: Deno.FsFile | undefined;
  /** Where it is not written: a disk that takes nothing any more, an earlier agent's file. */
  #reader: Deno.FsFile | undefined;
  /** The records that were read last. */
  #page = { at: 0, text: "" };

  /** Nothing is opened before it is needed. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Opens it to be written; a new one has a cursor at the beginning. */
  open(): Deno.FsFile {
    if (this.#file) return this.#file;
    this.#file = openOwnSync(this.#path, { read: true, write: true, create: true });
    if (this.#file.statSync().size === 0) this.writeCursor(newCursor());
    return this.#file;
  }

  /** Writes how far delivery has come. */
  writeCursor(cursor: Cursor): void {
    this.#write(cursorText(cursor), 0);
  }

  /** Writes what the place `at` is to say. */
  writeRecord(record: ChunkRecord | Gap, at: number): void {
    if (record instanceof Gap) this.#page = { at: 0, text: "" };
    this.#write(recordText(record), at);
  }

  /** What it says at a place of those up to `end`; `undefined` where that was given back. */
  async recordAt(at: number, end: number): Promise<ChunkRecord | Gap | undefined> {
    const { at: from, text } = this.#page;
    if (at < from || at + RECORD_BYTES > from + text.length) {
      const file = this.#file ?? (this.#reader ??= await openOwn(this.#path, { read: true }));
      const bytes = new Uint8Array(Math.min(PAGE_RECORDS * RECORD_BYTES, end - at));
      // At once: delivery writes its cursor whenever it is, and would move the place.
      file.seekSync(at, Deno.SeekMode.Start);
      for (let read = 0; read < bytes.length;) {
        read += file.readSync(bytes.subarray(read)) ?? endsTooSoon();
      }
      this.#page = { at, text: new TextDecoder().decode(bytes) };
    }
    const start = at - this.#page.at;
    return parseRecord(this.#page.text.slice(start, start + RECORD_BYTES), at);
  }

  /** Resolves when a loss of power does not undo it any more. */
  async sync(): Promise<void> {
    await this.#file?.syncData();
  }

  /** Takes back what was written behind a place. */
  async truncate(end: number): Promise<void> {
    await this.#file?.truncate(end);
  }

  /** Closes it; the file stays. */
  close(): void {
    this.#file?.close();
    this.#reader?.close();
    this.#file = this.#reader = undefined;
  }

  /** One small write at a fixed place, which a kill cannot tear. */
  #write(text: string, at: number): void {
    const file = this.open();
    file.seekSync(at, Deno.SeekMode.Start);
    file.writeSync(new TextEncoder().encode(text));
  }
}
