import { endTaskProcesses, killTaskProcessesNow } from "../hosts/end_processes.ts";
import { type GatedChild, spawnGated } from "../hosts/child_host.ts";
import { asAgent, type Command, type Launch } from "../privileges/launch.ts";
import type { PtyMode } from "./modes.ts";

/** A shell that runs on a terminal. */
export interface Shell {
  /** The program that was chosen. */
  path: string;
  /** Resolves when it has ended, whatever it leaves behind; the code may have been forgotten. */
  status: Promise<{ code: number | undefined; signal?: string | null | undefined }>;
  /**
   * Hangs up on all that runs in the terminal, and kills what is left after so many milliseconds;
   * resolves with the number of processes that could not be ended.
   */
  end(graceMs: number): Promise<number>;
  /** Kills all that runs in the terminal at once: the last act of an agent that must leave. */
  killNow(): void;
}

/** What terminals have that services have not. */
const TERMINAL_ENV = { TERM: "xterm-256color", PAGER: "cat" };

/**
 * The user's environment: a service may have no HOME, and should not pass on what is its own. Without
 * a locale a terminal would take nothing but ASCII: it gets the machine's if that is UTF-8.
 * `COLUMNS` and `LINES` would hide the terminal's real size.
 */
const ENVIRONMENT = `
unset COLUMNS LINES TMUX TMUX_PANE STY WINDOW
unset NOTIFY_SOCKET LISTEN_FDS LISTEN_FDNAMES LISTEN_PID WATCHDOG_PID WATCHDOG_USEC
unset INVOCATION_ID JOURNAL_STREAM SYSTEMD_EXEC_PID AGENT_TOKEN ENROLLMENT_TOKEN NODE_ID
unset $(env | sed -n 's/^\\(NODERAX_[A-Za-z0-9_]*\\)=.*/\\1/p')
: "\${USER:=$(id -un)}" "\${LOGNAME:=$USER}"
: "\${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
export USER LOGNAME HOME
cd "$HOME" 2>/dev/null || cd /
unset OLDPWD
if [ -z "\${LC_ALL:-}\${LC_CTYPE:-}\${LANG:-}" ]; then
  LANG=$(sed -n 's/^LANG="\\{0,1\\}\\([A-Za-z0-9_.@-]*\\)"\\{0,1\\}$/\\1/p' /etc/locale.conf /etc/default/locale 2>/dev/null | head -n 1)
  case $LANG in *[Uu][Tt][Ff]*8*) ;; *) LANG=C.UTF-8 ;; esac
  export LANG
fi`;

/**
 * Behind the terminal may come the program to run in place of the user's shell; it is tried before
 * it gets the terminal, as it may refuse.
 *
 * Shells of accounts that are not for people (nologin, false) run, but refuse to run anything.
 */
const CHOICE = `
shell=$*
[ -z "$shell" ] || "$@" true </dev/null >/dev/null || exit
[ -n "$shell" ] || for candidate in "$SHELL" /bin/bash /bin/zsh /bin/sh; do
  "$candidate" -c exit >/dev/null 2>&1 || continue
  shell=$candidate
  break
done
[ -n "$shell" ] || { echo "no shell starts on this machine" >&2; exit 127; }
[ $# -gt 0 ] || { set -- "$shell" -i; SHELL=$shell; export SHELL; }`;

/** What opens the terminal `path`, and runs a shell on it, in a mode. */
export function shellCommand(path: string, mode: PtyMode): Command {
  const script = ["pty=$1; shift", ENVIRONMENT, CHOICE, mode.script].join("\n");
  return { argv: ["/bin/sh", "-c", script, "sh", path], env: TERMINAL_ENV, terminal: path };
}

/**
 * Starts the user's shell ($SHELL, bash, zsh, sh: the first that starts) on the terminal `path`
 * as an interactive one in the user's home. Its processes carry the mark of `sessionId`; `launch`
 * makes them another user's than the agent's.
 *
 * @throws when it does not start in this mode; nothing is left of it then.
 */
export async function startShell(
  options: {
    path: string;
    sessionId: string;
    mode: PtyMode;
    launch?: Launch | undefined;
    signal: AbortSignal;
  },
): Promise<Shell> {
  const { path, sessionId, mode, launch = asAgent, signal } = options;
  signal.throwIfAborted();
  const { argv, env } = launch(shellCommand(path, mode));
  const child = spawnGated({ taskId: sessionId, argv, env });
  const kills: Promise<unknown>[] = [];
  const kill = () => kills.push(endTaskProcesses(sessionId, child.group, 0).catch(() => {}));
  signal.addEventListener("abort", kill, { once: true });
  try {
    await child.open();
    const shell = await introduction(child);
    signal.throwIfAborted();
    return {
      path: shell,
      status: child.status,
      end: (graceMs) => endTaskProcesses(sessionId, child.group, graceMs, "SIGHUP"),
      killNow: () => killTaskProcessesNow(sessionId, child.group),
    };
  } catch (error) {
    kill();
    await Promise.all(kills);
    throw error;
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

/** The script writes the shell's path and lets both pipes go, or says why it cannot. */
async function introduction(child: GatedChild): Promise<string> {
  const [path, problem] = await Promise.all([readAll(child.stdout), readAll(child.stderr)]);
  if (path !== "") return path;
  const { code } = await child.status;
  throw new Error(problem || `the shell exited with code ${code}`);
}

async function readAll(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) text += decoder.decode(bytes, { stream: true });
  return text.trim();
}
