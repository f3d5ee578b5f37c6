import type { RunTool } from "../system/tool.ts";

/** A process that holds a lock. */
export interface Holder {
  /** Its id. */
  pid: number;
  /** What it is called; "" if it has just left. */
  name: string;
}

/**
 * Who holds a lock on the file, as the kernel tells; undefined when nobody does, or nobody who can
 * be seen from here. The lock itself is not touched.
 */
export async function lockHolder(path: string, run: RunTool): Promise<Holder | undefined> {
  const [inode, locks] = await Promise.all([
    run("stat", "-L", "-c", "%i", "--", path),
    run("cat", "/proc/locks"),
  ]);
  if (inode.code !== 0 || locks.code !== 0) return undefined;
  // "1: POSIX  ADVISORY  WRITE 1234 fd:01:5678 0 EOF"; overlays show another device than stat.
  const pattern = new RegExp(`^\\d+: \\w+ +\\w+ +WRITE (\\d+) \\S+:${inode.stdout} `, "m");
  const pid = Number(pattern.exec(locks.stdout)?.[1]);
  if (!pid) return undefined;
  const { stdout } = await run("cat", `/proc/${pid}/comm`);
  return { pid, name: stdout };
}
