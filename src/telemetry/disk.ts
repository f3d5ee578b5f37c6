import { type FileSystem, statfsOfRoot } from "../system/statfs.ts";

/** What is read of a file system. */
export type BlockCounts =
  & Pick<FileSystem, "bsize" | "blocks" | "bfree" | "bavail">
  & Partial<Pick<FileSystem, "frsize">>;

/** A file system in the contract's words (Realtime, `agent.metrics`). */
export interface DiskUsage {
  /** Where it is mounted. */
  path: string;
  /** The whole file system. */
  totalBytes: number;
  /** What files and the file system itself take. */
  usedBytes: number;
  /** What anybody may still fill: `Available` in df. Less than the rest by what is root's alone. */
  freeBytes: number;
  /** `Use%` in df, not rounded: the used part of what is used or may still be filled. */
  usedPercent: number;
}

/** Reads how full the file system at `path` is, as df counts. */
export async function readDisk(
  path = "/",
  stat: () => BlockCounts | Promise<BlockCounts> = statfsOfRoot,
): Promise<DiskUsage> {
  const { bsize, frsize, blocks, bfree, bavail } = await stat();
  const blockBytes = frsize || bsize;
  const used = blocks - bfree;
  return {
    path,
    totalBytes: blocks * blockBytes,
    usedBytes: used * blockBytes,
    freeBytes: bavail * blockBytes,
    usedPercent: used / (used + bavail) * 100,
  };
}
