import { join } from "@std/path";
import type { DpkgRecord } from "./dpkg.ts";

/** Where dpkg keeps what it knows of packages. */
const ADMIN_FOLDER = "/var/lib/dpkg";
/** A larger one is left to dpkg: it would hold up the agent, in bytes. */
const MAX_BYTES = 16 * 1024 * 1024;

/** What of a package in dpkg's database a list shows. */
export type DpkgEntry = Omit<DpkgRecord, "id">;

/**
 * The packages of dpkg's database, in its order, read from its file: dpkg-query takes ten times as
 * long. Undefined where that is to be asked all the same, since the file alone does not tell: while
 * dpkg is at work, and for whatever it is that cannot be read like this.
 */
export async function readStatusFile(folder = ADMIN_FOLDER): Promise<DpkgEntry[] | undefined> {
  const path = join(folder, "status");
  try {
    const [{ size }, isSettled] = await Promise.all([
      Deno.stat(path),
      hasNoUpdates(join(folder, "updates")),
    ]);
    if (size === 0 || size > MAX_BYTES || !isSettled) return undefined;
    return parseStatus(await Deno.readTextFile(path));
  } catch {
    return undefined;
  }
}

/** What dpkg has changed last waits there until it is done. */
async function hasNoUpdates(folder: string): Promise<boolean> {
  for await (const _ of Deno.readDir(folder)) return false;
  return true;
}

/** Reads the paragraphs of the file; undefined if one of them is not a package's. */
export function parseStatus(text: string): DpkgEntry[] | undefined {
  const entries: DpkgEntry[] = [];
  for (const paragraph of text.split(/\n\n+/)) {
    if (paragraph.trim() === "") continue;
    const lines = `\n${paragraph}\n`;
    const field = (name: string) => fieldOf(lines, name);
    const [name, words, description] = ["Package", "Status", "Description"].map(field);
    const status = words?.split(" ")[2];
    if (!name || !status) return undefined;
    entries.push({
      name,
      status,
      version: field("Version") ?? "",
      architecture: field("Architecture") ?? "",
      description: description ?? "",
    });
  }
  return entries;
}

/** The first line of a field; lines that go on with one begin with a space. */
function fieldOf(lines: string, name: string): string | undefined {
  const at = lines.indexOf(`\n${name}:`);
  if (at < 0) return undefined;
  const start = at + name.length + 2;
  return lines.slice(start, lines.indexOf("\n", start)).trimStart();
}
