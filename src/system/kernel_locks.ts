import { cString, openLibc, readKernelFile } from "./libc.ts";
import { retry, RetryError } from "@std/async";

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

/** A file as the kernel's list of locks names it. */
export interface LockedFile {
  /** Its number. */
  inode: bigint;
  /** The numbers of its device. */
  device: readonly [major: number, minor: number];
}

/** What {@linkcode lockHolder} asks the kernel. */
export interface LockSource {
  /** The file at a path, links followed; throws when there is none. */
  file(path: string): LockedFile;
  /** The text of a file in /proc; throws when there is none. */
  read(path: string): string;
}

/** "1: POSIX  ADVISORY  WRITE 1234 fd:01:5678 0 EOF" */
const LOCK = /^\d+: \w+ +\w+ +WRITE (\d+) ([\da-f]+:[\da-f]+):(\d+) /gm;
/** A path that is relative is so to the working folder. */
const AT_FDCWD = -100;
const STATX_INO = 0x100;
const STATX_BYTES = 256;

/** The kernel itself. Numbers of inodes are larger than Deno's own `stat` can give them. */
const KERNEL: LockSource = {
  file(path) {
    using libc = openLibc();
    const status = new Uint8Array(STATX_BYTES);
    libc.check(libc.symbols.statx(AT_FDCWD, cString(path), 0, STATX_INO, status), path);
    const view = new DataView(status.buffer);
    return {
      inode: view.getBigUint64(32, true),
      device: [view.getUint32(136, true), view.getUint32(140, true)],
    };
  },
  read(path) {
    using libc = openLibc();
    return readKernelFile(libc, path);
  },
};

/**
 * Who holds a lock on the file, as the kernel tells; undefined when nobody does, or nobody who can
 * be seen from here. The lock itself is not touched.
 */
export function lockHolder(path: string, kernel: LockSource = KERNEL): Holder | undefined {
  try {
    const { inode, device } = kernel.file(path);
    const name = device.map((part) => part.toString(16).padStart(2, "0")).join(":");
    const held = [...kernel.read("/proc/locks").matchAll(LOCK)]
      .filter(([, , , number]) => number === String(inode));
    const exact = held.find((lock) => lock[2] === name);
    // Only file systems without a disk of their own, or with several in one, may differ.
    const found = exact ?? (device[0] === 0 ? held[0] : undefined);
    const pid = Number(found?.[1]);
    return pid ? { pid, name: nameOf(pid, kernel), certain: exact !== undefined } : undefined;
  } catch {
    // There is no such file.
    return undefined;
  }
}

function nameOf(pid: number, kernel: LockSource): string {
  try {
    return kernel.read(`/proc/${pid}/comm`).trimEnd();
  } catch {
    return "";
  }
}

/** Somebody else has a lock. */
export class HeldError extends Error {}

/**
 * Takes a lock, every `pauseMs` anew while `take` throws a {@linkcode HeldError}.
 *
 * @throws that error after `limitMs`, and whatever else `take` throws at once.
 */
export async function whileHeld<T>(
  take: () => Promise<T>,
  pauseMs: number,
  limitMs: number,
): Promise<T> {
  try {
    return await retry(take, {
      minTimeout: pauseMs,
      multiplier: 1,
      jitter: 0,
      maxAttempts: Math.floor(limitMs / pauseMs) + 1,
      isRetriable: (error) => error instanceof HeldError,
    });
  } catch (error) {
    throw error instanceof RetryError ? error.cause : error;
  }
}
