import { cString, openLibc } from "./libc.ts";

/** What statfs(2) tells of a file system. */
export interface FileSystem {
  /** The best size for a transfer, in bytes. */
  bsize: number;
  /** All blocks. */
  blocks: number;
  /** Free blocks, those reserved for root included. */
  bfree: number;
  /** Blocks that anybody may still fill. */
  bavail: number;
  /** All inodes; 0 where the file system does not count them. */
  files: number;
  /** Free inodes. */
  ffree: number;
  /** The size of a block, in bytes, where it is another one than `bsize`. */
  frsize: number;
}

const STATFS_BYTES = 120;

/**
 * Looks at the file system that `path` is on, in another thread: it may be one of a server that does not
 * answer. It is `node:fs`'s `statfs`, without the 11 MB of memory that come with it.
 *
 * @throws {Error} when it cannot be looked at.
 */
export async function statfs(path: string): Promise<FileSystem> {
  using libc = openLibc();
  const bytes = new Uint8Array(STATFS_BYTES);
  return parse(path, await libc.symbols.statfsInBackground(cString(path), bytes), bytes);
}

/**
 * The same at once, for `/`: without that nothing on the machine answers. Another thread would cost
 * twenty times as much.
 *
 * @throws {Error} when it cannot be looked at.
 */
export function statfsOfRoot(): FileSystem {
  using libc = openLibc();
  const bytes = new Uint8Array(STATFS_BYTES);
  return parse("/", libc.symbols.statfs(cString("/"), bytes), bytes);
}

/** On x64 and arm64 alike: words of 64 bits, behind the kind of the file system. */
function parse(path: string, result: number, bytes: Uint8Array<ArrayBuffer>): FileSystem {
  if (result !== 0) throw new Error(`the file system of ${path} cannot be looked at`);
  const words = [...new BigUint64Array(bytes.buffer)].map(Number);
  const [, bsize = 0, blocks = 0, bfree = 0, bavail = 0, files = 0, ffree = 0, , , frsize = 0] =
    words;
  return { bsize, blocks, bfree, bavail, files, ffree, frsize };
}
