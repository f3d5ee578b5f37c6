import { closeOnExec, type Libc, openLibc, readKernelFolder } from "./libc.ts";
import { messageOf } from "./user_error.ts";

const FIRST = 3;
/** The kernel's call, that the C library has a function for since 2.34 only, and its flag since 5.11. */
const CLOSE_RANGE = 436n;
const CLOSE_RANGE_CLOEXEC = 4n;
const LAST = 0xffff_ffffn;

/** How {@linkcode keepDescriptors} goes about it. */
export interface KeepDescriptorsOptions {
  /** Whether the kernel may be asked to do all of it at once, which older ones cannot. */
  atOnce?: boolean;
}

/**
 * Keeps what this process was started with, but for standard input, output and error, from all of its
 * children: `9</etc/shadow` in the shell that root has started it from would be open in every task.
 * Deno's own descriptors are none of its children's either.
 *
 * @returns the C library, which stays open for whoever needs it next.
 * @throws when it cannot be used.
 */
export function keepDescriptors({ atOnce = true }: KeepDescriptorsOptions = {}): Libc {
  using opened = new DisposableStack();
  const libc = opened.use(openLibc());
  const { symbols } = libc;
  const range = [BigInt(FIRST), LAST, CLOSE_RANGE_CLOEXEC, 0n] as const;
  if (!atOnce || symbols.syscall(CLOSE_RANGE, ...range) !== 0n) {
    for (const fd of openDescriptors(libc)) {
      if (fd >= FIRST) closeOnExec(libc, fd);
    }
  }
  opened.move();
  return libc;
}

/**
 * {@linkcode keepDescriptors} for a command that runs something for other users, until it is done;
 * where that cannot be, `onProblem` is told.
 */
export function shieldDescriptors(onProblem: (error: string) => void): Disposable | undefined {
  try {
    return keepDescriptors();
  } catch (error) {
    onProblem(messageOf(error));
    return undefined;
  }
}

/** The numbers of all open descriptors, as /proc tells. */
function openDescriptors(libc: Libc): number[] {
  const names = readKernelFolder(libc, "/proc/self/fd");
  if (!names) throw new Error("the open descriptors cannot be listed: /proc is not there");
  return names.map(Number).filter(Number.isInteger);
}
