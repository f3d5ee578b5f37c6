import { join } from "@std/path";
import { UserError } from "../system/user_error.ts";
import type { Cursor, LogScanRequest, Scanned } from "./scan_request.ts";
import { NotPermittedError, type Read } from "./read_as.ts";

const NEWLINE = 0x0a;

/** A file as it was looked at. */
type Found = { dev: number; ino: number; size: number };

/** Scans a file of `folder`: its end, or what has come since the request's cursor. */
export async function scanFile(
  folder: string,
  name: string,
  request: LogScanRequest,
  read: Read,
): Promise<Scanned> {
  const path = join(folder, name);
  const found = await look(path);
  const reset = request.mode === "monitor" ? resetReason(request.cursor, found) : undefined;
  const offset = request.mode === "monitor" && !reset ? request.cursor?.fileOffset : undefined;
  const scanned = typeof offset === "number"
    ? await forward(path, offset, found, request, read)
    : await tail(path, found, request, read);
  // What was opened by its name is believed only if the name is still that of what was looked at.
  const after = await look(path);
  if (after.ino !== found.ino || after.dev !== found.dev) {
    throw new UserError(`${path} was replaced while it was read: ask again.`);
  }
  const { end, ...rest } = scanned;
  const warnings = [...scanned.warnings];
  if (reset) warnings.unshift(`${path} was ${reset} since the last scan: its end is read again`);
  return {
    ...rest,
    warnings,
    cursor: {
      fileInode: String(found.ino),
      fileOffset: end,
      lastReadAt: new Date().toISOString(),
      ...(reset ? { cursorResetReason: reset } : {}),
    },
  };
}

/**
 * A name in a folder of logs is data: it may be a link to what only root may read, a pipe that
 * blocks, or a device without end.
 */
async function look(path: string): Promise<Found> {
  const info = await Deno.lstat(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) {
      throw new UserError(
        `${path} does not exist: this machine keeps no such log (look into its journal instead).`,
      );
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new NotPermittedError(path, "Permission denied");
    }
    throw error;
  });
  if (info.isSymlink) throw new UserError(`${path} is a link: it is not followed.`);
  if (!info.isFile) throw new UserError(`${path} is no regular file: it is not read.`);
  if (info.nlink !== null && info.nlink > 1) {
    throw new UserError(`${path} is a hard link to a file of another name: it is not read.`);
  }
  return { dev: info.dev, ino: info.ino ?? 0, size: info.size };
}

function resetReason(cursor: Cursor | null | undefined, found: Found): string | undefined {
  if (typeof cursor?.fileOffset !== "number" || cursor.fileInode === undefined) return undefined;
  if (cursor.fileInode !== String(found.ino)) return "rotated";
  return cursor.fileOffset > found.size ? "truncated" : undefined;
}

type Part = Omit<Scanned, "cursor"> & { end: number };

/** The last lines, cut from the front to the limits. */
async function tail(
  path: string,
  { size }: Found,
  { limits }: LogScanRequest,
  read: Read,
): Promise<Part> {
  // One byte more tells whether the window begins with a line.
  const start = Math.max(0, size - limits.maxBytes - 1);
  const bytes = await read.file(path, start, size - start);
  const end = start + bytes.length;
  const warnings: string[] = [];
  let from = 0;
  if (start > 0) {
    const newline = bytes.indexOf(NEWLINE);
    const hasWholeLine = newline >= 0 && newline < bytes.length - 1;
    if (!hasWholeLine && bytes.length > 1) warnings.push(tooLong(path, limits.maxBytes));
    from = hasWholeLine ? newline + 1 : 1;
  }
  const lines = linesOf(bytes.subarray(from));
  const kept = lines.slice(-Math.min(limits.backfillLines, limits.maxLines));
  const isCut = lines.length > kept.length
    ? limits.maxLines < limits.backfillLines
    : start + from > 0 && lines.length < limits.backfillLines;
  return { ...told(kept), truncated: isCut, warnings, end };
}

/** The whole lines behind `offset`, oldest first. */
async function forward(
  path: string,
  offset: number,
  { size }: Found,
  { limits }: LogScanRequest,
  read: Read,
): Promise<Part> {
  const bytes = await read.file(path, offset, Math.min(size - offset, limits.maxBytes));
  const warnings: string[] = [];
  let length = bytes.lastIndexOf(NEWLINE) + 1;
  if (length === 0 && bytes.length >= limits.maxBytes) {
    // It would never be passed.
    length = bytes.length;
    warnings.push(tooLong(path, limits.maxBytes));
  }
  const lines = linesOf(bytes.subarray(0, length));
  const kept = lines.slice(0, limits.maxLines);
  const part = told(kept);
  const end = offset + (kept.length < lines.length ? part.bytesRead : length);
  // An unfinished line at the end is no more that is left: it comes when it is whole.
  const isWindowFull = offset + bytes.length < size;
  return { ...part, truncated: kept.length < lines.length || isWindowFull, warnings, end };
}

function tooLong(path: string, maxBytes: number): string {
  return `${path} has a line longer than maxBytes (${maxBytes}): only a part of it is told at once`;
}

/** The lines, each with its newline. */
function linesOf(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const newline = bytes.indexOf(NEWLINE, at);
    const end = newline < 0 ? bytes.length : newline + 1;
    lines.push(bytes.subarray(at, end));
    at = end;
  }
  return lines;
}

const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)(?= )/;

function told(lines: Uint8Array[]): Pick<Scanned, "entries" | "bytesRead"> {
  const decoder = new TextDecoder();
  const entries = lines.map((line) => {
    const message = decoder.decode(line).replace(/\r?\n$/, "");
    const [timestamp] = STAMP.exec(message) ?? [];
    return { ...(timestamp ? { timestamp } : {}), message };
  });
  return { entries, bytesRead: lines.reduce((sum, line) => sum + line.length, 0) };
}
