import { LogStream } from "../control_plane/schemas.ts";
import { readOwn } from "../system/own_file.ts";
import {
  type ChunkRecord,
  type Cursor,
  freedTo,
  Gap,
  HEADER_BYTES,
  KEPT_BYTES,
  newCursor,
  parseCursor,
  parseRecord,
  RECORD_BYTES,
} from "./spool_index.ts";

/** The files of a spool as an earlier agent has left them. */
export interface LeftSpool {
  /** How far delivery had come; undefined if that cannot be read. */
  cursor: Cursor | undefined;
  /** What the index says of the bytes that are there, by the places in it. */
  records: Map<number, ChunkRecord>;
  /** Those of them with fewer bytes than were noted. */
  cut: Map<number, ChunkRecord>;
  /** Where the index can go on. */
  indexEnd: number;
  /** How much there is of each stream, in bytes. */
  sizes: Record<LogStream, number>;
  /** Whether there is any file. */
  isMade: boolean;
  /** Whether there is anything in one. */
  isUsed: boolean;
  /** Whether the index cannot be read to its end. */
  isDamaged: boolean;
}

/** Finds what there is under a prefix; `onError` hears of an index that cannot be opened. */
export async function findSpool(
  prefix: string,
  stepBytes: number,
  onError: (error: unknown) => void,
): Promise<LeftSpool> {
  const sizes = { stdout: 0, stderr: 0, system: 0 };
  let isMade = false;
  for (const stream of LogStream.options) {
    const found = await Deno.lstat(`${prefix}.${stream}`).catch(() => undefined);
    if (!found?.isFile) continue;
    sizes[stream] = found.size;
    isMade = true;
  }
  const text = await readOwn(`${prefix}.index`).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) onError(error);
    return "";
  });
  const cursor = text === "" ? newCursor() : parseCursor(text.slice(0, HEADER_BYTES));
  const left: LeftSpool = {
    cursor,
    records: new Map(),
    cut: new Map(),
    indexEnd: HEADER_BYTES,
    sizes,
    isMade: isMade || text !== "",
    isUsed: text !== "" || Object.values(sizes).some((size) => size > 0),
    isDamaged: cursor === undefined,
  };
  readRecords(left, text, freedTo(cursor?.record ?? 0, stepBytes));
  return left;
}

/** Reads the records of an index, of which what is before `freed` was given back. */
function readRecords(left: LeftSpool, text: string, freed: number): void {
  for (let at = HEADER_BYTES; at + RECORD_BYTES <= text.length;) {
    const record = parseRecord(text.slice(at, at + RECORD_BYTES), at);
    if (record instanceof Gap) {
      at = record.place?.to ?? at + RECORD_BYTES;
    } else if (record) {
      const room = left.sizes[record.stream] - record.start;
      const length = Math.max(0, Math.min(record.length, room));
      left.records.set(at, { ...record, length });
      // What has not come to the disk is missing at the end, where a crash cut it short.
      if (length < record.length) left.cut.set(at, { ...record, length });
      at += RECORD_BYTES;
    } else if (at >= KEPT_BYTES && at < freed) {
      // A gap may have begun before that: it is gone, and what it left out are zeros as well.
      at = freed;
      while (at < text.length && text[at] === "\0") at += RECORD_BYTES;
    } else {
      left.isDamaged = true;
      return;
    }
    left.indexEnd = at;
  }
}
