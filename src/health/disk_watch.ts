import { delay } from "@std/async";
import { join } from "@std/path";
import { writeFileAtomic } from "../system/atomic_file.ts";
import { msToBeat, repeat } from "../system/periodic.ts";
import { statfs } from "../system/statfs.ts";
import { isRoot } from "../system/trust.ts";
import { messageOf } from "../system/user_error.ts";
import type { HealthMonitor } from "./health_monitor.ts";

/** How often it is looked, in milliseconds. */
const LOOK_MS = 10_000;
/** The same while nothing can be written: what waits for that in memory is lost by a kill. */
const REFUSED_LOOK_MS = 1_000;
/** A disk with less room than this is full: nothing of use can be written. */
const FULL_BYTES = 64 * 1024;

/** What is said of a folder whose disk is full; undefined while it has room. */
async function diskFullAt(folder: string): Promise<string | undefined> {
  try {
    const { bavail, bfree, bsize, files, ffree } = await statfs(folder);
    // Some blocks are kept for root.
    const free = isRoot() ? bfree : bavail;
    if (free * bsize < FULL_BYTES) return `the disk of ${folder} is full`;
    return files > 0 && ffree === 0 ? `the disk of ${folder} has no inode left` : undefined;
  } catch {
    // A folder that cannot be looked at is the state folder's own watch's concern.
    return undefined;
  }
}

/** Why nothing can be written in the folder; undefined if something was. */
async function whyNotWritable(folder: string): Promise<string | undefined> {
  const probe = join(folder, ".probe");
  try {
    await writeFileAtomic(probe, " ".repeat(FULL_BYTES));
    await Deno.remove(probe);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * Looks at once and then regularly; `health` hears what was seen. A folder that could not be written
 * is tried again. Disposed of, it looks no more.
 */
export function watchDisk(
  folder: string,
  health: Pick<HealthMonitor, "diskSeen" | "diskRefuses" | "diskRefused">,
  intervalMs = LOOK_MS,
): Disposable {
  return repeat(async (signal) => {
    const full = await diskFullAt(folder);
    if (!signal.aborted) health.diskSeen(full);
    if (health.diskRefuses) health.diskRefused(await whyNotWritable(folder));
    await delay(msToBeat(health.diskRefuses ? REFUSED_LOOK_MS : intervalMs), { signal });
    return true;
  });
}
