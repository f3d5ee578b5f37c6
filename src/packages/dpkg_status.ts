import { join } from "@std/path";
import type { DpkgRecord } from "./dpkg.ts";

/** Where dpkg keeps what it knows of packages. */
const ADMIN_FOLDER = "/var/lib/dpkg";
/** A larger file is left to dpkg: it would hold up the agent, in bytes. */
const MAX_BYTES = 16 * 1024 * 1024;
/** So much of it is read at once; a longer line is dpkg's affair, too. */
const PIECE_BYTES = 64 * 1024;
const [NEWLINE, COLON, SPACE] = [10, 58, 32];

/** What of a package in dpkg's database a list shows. */
export type DpkgEntry = Omit<DpkgRecord, "id">;

/**
 * The packages of dpkg's database, in its order, read from its file: dpkg-query takes ten times as
 * long. Undefined where that is to be asked all the same, since the file alone does not tell: while
 * dpkg is at work, and for whatever it is that cannot be read like this.
 */
export async function readStatusFile(folder = ADMIN_FOLDER): Promise<DpkgEntry[] | undefined> {
  try {
    using file = await Deno.open(join(folder, "status"));
    const [{ size }, isSettled] = await Promise.all([
      file.stat(),
      hasNoUpdates(join(folder, "updates")),
    ]);
    if (size === 0 || size > MAX_BYTES || !isSettled) return undefined;
    return await entriesOf(file);
  } catch {
    return undefined;
  }
}

/** What dpkg has changed last waits there until it is done. */
async function hasNoUpdates(folder: string): Promise<boolean> {
  for await (const _ of Deno.readDir(folder)) return false;
  return true;
}

/** The fields that are read, by their first letters, of which each has another one. */
const FIELDS = new Map(
  ["Package", "Status", "Version", "Architecture", "Description"]
    .map((name) => [name.charCodeAt(0), { name, bytes: new TextEncoder().encode(name) }]),
);

/**
 * Reads each line as bytes, and makes text of those that count: a part of a text would keep all of
 * that in memory. Undefined if there is a paragraph that is not a package's.
 */
async function entriesOf(file: Deno.FsFile): Promise<DpkgEntry[] | undefined> {
  const entries: DpkgEntry[] = [];
  const piece = new Uint8Array(PIECE_BYTES);
  const decoder = new TextDecoder();
  let fields = new Map<string, string>();
  for (let held = 0, length; (length = await file.read(piece.subarray(held))) !== null;) {
    if (length === 0) return undefined;
    const bytes = piece.subarray(0, held + length);
    let start = 0;
    for (let end; (end = bytes.indexOf(NEWLINE, start)) >= 0; start = end + 1) {
      if (end > start) {
        readField(bytes.subarray(start, end), fields, decoder);
      } else if (fields.size > 0) {
        const entry = entryOf(fields);
        if (!entry) return undefined;
        entries.push(entry);
        fields = new Map();
      }
    }
    held = bytes.length - start;
    piece.copyWithin(0, start, bytes.length);
  }
  const last = entryOf(fields);
  if (fields.size > 0 && !last) return undefined;
  return last ? [...entries, last] : entries;
}

/** What a field says on its first line; lines that go on with one begin with a space. */
function readField(line: Uint8Array, fields: Map<string, string>, decoder: TextDecoder): void {
  const field = FIELDS.get(line[0] ?? 0);
  if (!field) return;
  const { name, bytes } = field;
  if (line[bytes.length] !== COLON || !bytes.every((byte, i) => line[i] === byte)) return;
  const from = bytes.length + (line[bytes.length + 1] === SPACE ? 2 : 1);
  fields.set(name, decoder.decode(line.subarray(from)));
}

function entryOf(fields: Map<string, string>): DpkgEntry | undefined {
  const name = fields.get("Package");
  const status = fields.get("Status")?.split(" ")[2];
  if (!name || !status) return undefined;
  return {
    name,
    status,
    version: fields.get("Version") ?? "",
    architecture: fields.get("Architecture") ?? "",
    description: fields.get("Description") ?? "",
  };
}
