import { join } from "@std/path";

/** How often it is looked for what may go, in milliseconds. */
export const SWEEP_EVERY_MS = 24 * 60 * 60 * 1_000;
/** How long what nobody needs any more is kept for a look at it. */
const KEPT_MS = 7 * SWEEP_EVERY_MS;
/** A task's output and how far its delivery has come. */
export const SPOOL_FILE: RegExp =
  /^([A-Za-z0-9_-]{1,128})\.(?:stdout|stderr|system|index|note-\w+(?:\.part)?)$/;

/**
 * Removes from the folder of the journal what is older than seven days and belongs to nobody: copies
 * of damaged files, and lines of tasks of which there is no record. They hold what tasks were given
 * and what they printed. Returns the names.
 */
export async function sweepJournal(
  folder: string,
  isAtWork: (taskId: string) => boolean,
  nowMs = Date.now(),
): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  const records = new Set(names.filter((name) => name.endsWith(".json")));
  const swept: string[] = [];
  for (const name of names) {
    const taskId = SPOOL_FILE.exec(name)?.[1];
    const isOrphan = taskId !== undefined && !records.has(`${taskId}.json`) && !isAtWork(taskId);
    if (!isOrphan && !name.endsWith(".corrupt")) continue;
    const path = join(folder, name);
    const { mtime, isFile } = await lookAt(path);
    if (!isFile || nowMs - (mtime?.getTime() ?? nowMs) < KEPT_MS) continue;
    await Deno.remove(path);
    swept.push(name);
  }
  return swept;
}

/** A task may have ended meanwhile, and its files have gone. */
async function lookAt(path: string): Promise<Pick<Deno.FileInfo, "isFile" | "mtime">> {
  return await Deno.lstat(path).catch(() => ({ isFile: false, mtime: null }));
}
