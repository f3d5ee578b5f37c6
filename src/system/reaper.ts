import { cString, openLibc, Pinned, readKernelFile } from "./libc.ts";
import { messageOf } from "./user_error.ts";

/** What the reaper is called, where a program's name would be. */
export const REAPER = "noderax-agent-reaper";
/** Tells the agent whose child it is. */
const MARK = "NODERAX_UNDER_REAPER";
const SHELL = "/bin/sh";
/** The same on x64 and arm64. */
const SIGINT = 2;
const SIGQUIT = 3;

/**
 * Process 1 of a container, with the agent as its child: a shell that waits takes the exit status of
 * every process that the kernel gives it, and passes on what it is told. A wait that a signal has cut
 * short is no end of the agent's; one for a child that has been waited for already gives 127. What
 * comes before the agent's process is known is passed on when it is; and nothing while that is still a
 * copy of this shell, which would take a signal for its own and forget it.
 */
export const REAPER_SCRIPT: string = `
agent= early=
pass() {
  tries=0
  while [ "$tries" -lt 100 ] && [ "/proc/$agent/exe" -ef "/proc/$$/exe" ]; do
    tries=$((tries + 1))
    sleep 0.01
  done
  kill -"$1" "$agent" 2>/dev/null
}
for signal in TERM INT HUP; do
  trap "signalled=1; if [ \\"\\$agent\\" ]; then pass $signal; else early=\\"\\$early $signal\\"; fi" $signal
done
${MARK}=1 "$@" &
agent=$!
for signal in $early; do pass "$signal"; done
while signalled=; wait "$agent"; status=$?; [ -n "$signalled" ]; do code=$status; done
[ "$status" != 127 ] || status=\${code:-127}
exit "$status"`;

/**
 * Puts a reaper in this process's place where it is process 1, as it may be in a container: the
 * orphans of tasks are its children then, and Deno waits for those alone that it has started. The
 * reaper starts this program anew. Only where that does not work does this return, with the reason.
 */
export function runUnderReaper(): string | undefined {
  if (Deno.env.get(MARK)) {
    leadOwnSession();
    return undefined;
  }
  if (Deno.pid !== 1) return undefined;
  try {
    using libc = openLibc();
    const [, ...args] = readKernelFile(libc, "/proc/self/cmdline").split("\0").slice(0, -1);
    const argv = [SHELL, "-c", REAPER_SCRIPT, REAPER, Deno.execPath(), ...args].map(cString);
    using pinned = new Pinned();
    const list = new BigUint64Array([...argv.map((arg) => pinned.addressOf(arg)), 0n]);
    const result = libc.symbols.execv(cString(SHELL), new Uint8Array(list.buffer));
    libc.check(result, SHELL);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * A shell starts what it does not wait for with keys that are ignored, as all tasks would do then;
 * and in its own group, where Ctrl-C would reach the agent twice, which is the order to leave at once.
 */
function leadOwnSession(): void {
  using libc = openLibc();
  for (const signal of [SIGINT, SIGQUIT]) libc.symbols.signal(signal, null);
  libc.symbols.setsid();
}
