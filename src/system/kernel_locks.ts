import type { RunTool } from "./tool.ts";

/** A process that holds a lock. */
export interface Holder {
  /** Its id. */
  pid: number;
  /** What it is called; "" if it has just left. */
  name: string;
  /**
   * Whether it is sure. On some file systems (overlay, btrfs) the kernel's list of locks names
   * another device than the file has: a file of the same number elsewhere would look the same.
   */
  certain: boolean;
}

/** "1: POSIX  ADVISORY  WRITE 1234 fd:01:5678 0 EOF" */
const LOCK = /^\d+: \w+ +\w+ +WRITE (\d+) ([\da-f]+:[\da-f]+):(\d+) /gm;

/**
 * Who holds a lock on the file, as the kernel tells; undefined when nobody does, or nobody who can
 * be seen from here. The lock itself is not touched.
 */
export async function lockHolder(path: string, run: RunTool): Promise<Holder | undefined> {
  const [file, locks] = await Promise.all([
    run("stat", "-L", "-c", "%i %d", "--", path),
    run("cat", "/proc/locks"),
  ]);
  if (file.code !== 0 || locks.code !== 0) return undefined;
  const [inode, number] = file.stdout.split(" ");
  const { isAnonymous, device } = deviceOf(BigInt(number ?? 0));
  const held = [...locks.stdout.matchAll(LOCK)].filter((lock) => lock[3] === inode);
  const exact = held.find((lock) => lock[2] === device);
  const found = exact ?? (isAnonymous ? held[0] : undefined);
  const pid = Number(found?.[1]);
  if (!pid) return undefined;
  const { stdout } = await run("cat", `/proc/${pid}/comm`);
  return { pid, name: stdout, certain: exact !== undefined };
}

/** A device as the list of locks writes it, from its number (`st_dev`). */
function deviceOf(number: bigint): { device: string; isAnonymous: boolean } {
  const major = (number >> 8n) & 0xfffn | (number >> 32n) & 0xfffff000n;
  const minor = number & 0xffn | (number >> 12n) & 0xffffff00n;
  const hex = (part: bigint) => part.toString(16).padStart(2, "0");
  // Only file systems without a disk of their own, or with several in one, have one that may differ.
  return { device: `${hex(major)}:${hex(minor)}`, isAnonymous: major === 0n };
}
