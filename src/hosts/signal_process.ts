import { type Libc, LibcError, openLibc, readKernelFile } from "../system/libc.ts";
import { signalNumber } from "../system/signal_number.ts";
import { runChild } from "../system/run_child.ts";
import { type ProcessGroup, type ProcessId, startTicksOf } from "./process_table.ts";

/** The kernel's calls that the C library has no function for; x64 and arm64 number them alike. */
const PIDFD_SEND_SIGNAL = 424n;
const PIDFD_OPEN = 434n;
const NONE = 0n;
const EPERM = 1;
const ENOENT = 2;
const ESRCH = 3;
/** More than /proc/N/stat ever has. */
const STAT_BYTES = 4096;

/**
 * What became of a signal: `refused` is the kernel's word for somebody else's process. One that has
 * left, or whose id is another's by now, is `gone`.
 */
export type Signalled = "sent" | "gone" | "refused";

/**
 * Sends a signal to a process, and to no other that has got its id since it was looked at: a
 * descriptor of the process is held while its start time is compared. Where the kernel has none
 * (before 5.3) the comparison comes right before the signal; without a C library there is none.
 */
export function signalProcess({ pid, startTicks }: ProcessId, signal: Deno.Signal): Signalled {
  // To the kernel these are no process of a task but the agent, its group, or all there are.
  if (pid === Deno.pid || !Number.isInteger(pid) || pid <= 1) return "gone";
  using libc = libcIfThere();
  if (!libc) return kill(pid, signal);
  const { symbols } = libc;
  const fd = Number(symbols.syscall(PIDFD_OPEN, BigInt(pid), NONE, NONE, NONE));
  try {
    const holder = holderOf(libc, pid);
    if (holder === undefined || (holder !== UNKNOWN && holder !== startTicks)) return "gone";
    const number = BigInt(signalNumber(signal));
    if (fd < 0) return kill(pid, signal);
    const sent = symbols.syscall(PIDFD_SEND_SIGNAL, BigInt(fd), number, NONE, NONE);
    libc.check(sent, "pidfd_send_signal");
    return "sent";
  } catch (error) {
    const errno = error instanceof LibcError ? error.errno : undefined;
    if (errno === ESRCH) return "gone";
    return errno === EPERM ? "refused" : kill(pid, signal);
  } finally {
    if (fd >= 0) symbols.close(fd);
  }
}

/**
 * Kills a group that has just been known to be the task's, unless its number is that of a process now
 * which does not lead it: while a group has a member, the kernel gives its number to nobody else.
 */
export function killGroup({ pid, startTicks }: ProcessGroup): void {
  if (!Number.isInteger(pid) || pid <= 1 || pid === Deno.pid) return;
  using libc = libcIfThere();
  const holder = libc && holderOf(libc, pid);
  if (holder === undefined || holder === UNKNOWN || holder === startTicks) kill(-pid, "SIGKILL");
}

/** What `sudo` runs: it compares the start time of each process right before its signal. */
const KILL = `
signal=$1
shift
while [ $# -gt 1 ]; do
  stat=$(cat "/proc/$1/stat" 2>/dev/null)
  [ "$(set -- \${stat##*) }; echo "\${20}")" != "$2" ] || kill -s "$signal" "$1"
  shift 2
done
exit 0`;

/** Has sudo signal processes that are somebody else's; `sudo` is another way to become root. */
export async function signalThroughSudo(
  processes: readonly ProcessId[],
  signal: Deno.Signal,
  sudo: readonly string[] = ["sudo", "-n", "--"],
): Promise<void> {
  const each = processes.flatMap(({ pid, startTicks }) => [String(pid), startTicks]);
  const script = ["/bin/sh", "-c", KILL, "sh", signal.slice("SIG".length), ...each];
  await runChild([...sudo, ...script]).catch(() => {
    // There is no sudo, or it does not answer: the next look tells what is left.
  });
}

/** Deno's way, for a process or, negative, for a group. */
function kill(pid: number, signal: Deno.Signal): Signalled {
  try {
    Deno.kill(pid, signal);
    return "sent";
  } catch (error) {
    return error instanceof Deno.errors.PermissionDenied ? "refused" : "gone";
  }
}

function libcIfThere(): Libc | undefined {
  try {
    return openLibc();
  } catch {
    return undefined;
  }
}

/** Stands for a start time that cannot be read, as when no descriptor is left to read it with. */
const UNKNOWN = "";

/** When the process began that has this id now, in ticks; undefined if none has. */
function holderOf(libc: Libc, pid: number): string | undefined {
  try {
    return startTicksOf(readKernelFile(libc, `/proc/${pid}/stat`, STAT_BYTES));
  } catch (error) {
    const isGone = error instanceof LibcError && [ENOENT, ESRCH].includes(error.errno);
    return isGone ? undefined : UNKNOWN;
  }
}
