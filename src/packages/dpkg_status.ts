import { join } from "@std/path";
import type { DpkgRecord } from "./dpkg.ts";

/** Where dpkg keeps what it knows of packages. */
const ADMIN_FOLDER = "/var/lib/dpkg";
/** A larger file is left to dpkg: it would hold up the agent, in bytes. */
const MAX_BYTES = 16 * 1024 * 1024;

/** What of a package in dpkg's database a list shows. */
export type DpkgEntry = Omit<DpkgRecord, "id">;

/**
 * The packages of dpkg's database, in its order, read from its file: dpkg-query takes ten times as
 * long. Undefined where that is to be asked all the same, since the file alone does not tell: while
 * dpkg is at work, and for whatever it is that cannot be read like this.
 */
export async function readStatusFile(folder = ADMIN_FOLDER): Promise<DpkgEntry[] | undefined> {
  try {
    const path = join(folder, "status");
    const [{ size }, isSettled] = await Promise.all([
      Deno.stat(path),
      hasNoUpdates(join(folder, "updates")),
    ]);
    if (size === 0 || size > MAX_BYTES || !isSettled) return undefined;
    return entriesOf(await Deno.readTextFile(path));
  } catch {
    return undefined;
  }
}

/** What dpkg has changed last waits there until it is done. */
async function hasNoUpdates(folder: string): Promise<boolean> {
  for await (const _ of Deno.readDir(folder)) return false;
  return true;
}

/** Undefined if there is a paragraph that is not a package's. */
function entriesOf(text: string): DpkgEntry[] | undefined {
  const entries: DpkgEntry[] = [];
  for (const paragraph of text.split(/\n\n+/)) {
    if (paragraph === "") continue;
    // The engine searches; a loop over the lines would take three times as long.
    const name = /^Package: ?(.*)$/m.exec(paragraph)?.[1];
    const status = /^Status: ?(.*)$/m.exec(paragraph)?.[1]?.split(" ")[2];
    if (!name || !status) return undefined;
    entries.push({
      name,
      status,
      version: /^Version: ?(.*)$/m.exec(paragraph)?.[1] ?? "",
      architecture: /^Architecture: ?(.*)$/m.exec(paragraph)?.[1] ?? "",
      description: /^Description: ?(.*)$/m.exec(paragraph)?.[1] ?? "",
    });
  }
  return entries;
}
