import { settlesWithin } from "../system/deadline.ts";
import { openLibc, readKernelFile, readSlowKernelFile } from "../system/libc.ts";

/** A sensor that does not answer must not stop the others for good. */
const LIMIT_MS = 5_000;

/** What is here the kernel has in memory: it answers at once. */
const IN_MEMORY = "/proc/";

/** The files whose readers have not come back: each holds a thread until it does. */
const unanswered = new Set<string>();

/**
 * Reads files of /proc and /sys, and gives their texts one after the other. A file that cannot be
 * read, or does not answer in 5 s, contributes nothing.
 */
export async function readKernelFiles(paths: readonly string[]): Promise<string> {
  const texts = paths.map((path) => path.startsWith(IN_MEMORY) ? readNow(path) : "");
  const reads = paths.map(async (path, at) => {
    if (path.startsWith(IN_MEMORY) || unanswered.has(path)) return;
    unanswered.add(path);
    try {
      texts[at] = await readSlowKernelFile(path);
    } catch {
      // It is not there, or its driver has no value.
    } finally {
      unanswered.delete(path);
    }
  });
  if (unanswered.size > 0) await settlesWithin(Promise.all(reads), LIMIT_MS);
  return texts.join("");
}

function readNow(path: string): string {
  try {
    using libc = openLibc();
    return readKernelFile(libc, path);
  } catch {
    return "";
  }
}
