import { delay } from "@std/async";
import { statfs } from "node:fs/promises";
import { repeat } from "../system/repeat.ts";

/** How often it is looked, in milliseconds. */
const LOOK_MS = 10_000;
/** A disk with less room than this is full: nothing of use can be written. */
const FULL_BYTES = 64 * 1024;

/** What is said of a folder whose disk is full; undefined while it has room. */
async function diskFullAt(folder: string): Promise<string | undefined> {
  try {
    const { bavail, bsize, files, ffree } = await statfs(folder);
    if (bavail * bsize < FULL_BYTES) return `the disk of ${folder} is full`;
    return files > 0 && ffree === 0 ? `the disk of ${folder} has no inode left` : undefined;
  } catch {
    // A folder that cannot be looked at is the state folder's own watch's concern.
    return undefined;
  }
}

/** Looks at once and then regularly; `onLook` hears what was seen. Disposed of, it looks no more. */
export function watchDisk(
  folder: string,
  onLook: (full: string | undefined) => void,
  intervalMs = LOOK_MS,
): Disposable {
  return repeat(async (signal) => {
    const full = await diskFullAt(folder);
    if (!signal.aborted) onLook(full);
    await delay(intervalMs, { signal });
    return true;
  });
}
