import { cString, O_CLOEXEC, openLibc } from "./libc.ts";

const O_WRONLY = 1;
const O_NOFOLLOW = 0o400000;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;

/**
 * Gives the blocks of a part of a file back to the disk: it reads as zeros then, and the rest stays
 * where it is. False where the file system, or a machine without a C library, cannot.
 */
export function punchHole(path: string, from: number, to: number): boolean {
  try {
    using libc = openLibc();
    const { symbols, check } = libc;
    const fd = check(symbols.open(cString(path), O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0), path);
    try {
      const length = BigInt(to - from);
      check(symbols.fallocate(fd, KEEP_SIZE | PUNCH_HOLE, BigInt(from), length), path);
      return true;
    } finally {
      symbols.close(fd);
    }
  } catch {
    return false;
  }
}
