import { type ProcessGroup, startTicksOf, TASK_ID_VARIABLE } from "./process_table.ts";

/** What to run. */
export interface ChildOptions {
  /** Marks the processes, see {@linkcode TASK_ID_VARIABLE}. */
  taskId: string;
  /** The program and its arguments. */
  argv: string[];
  /** Additional environment. */
  env?: Record<string, string>;
}

/**
 * A child that does not run its program before {@linkcode GatedChild.open}. It leads a session of
 * its own: who shares the agent's could type into the terminal that the agent was started on.
 */
export interface GatedChild {
  /** Names the child's group for as long as the machine runs. */
  group: ProcessGroup;
  /** Lets the program begin. */
  open(): Promise<void>;
  /** Ends the child without running its program, if it has not begun. */
  refuse(): Promise<void>;
  /** Its standard output. */
  stdout: ReadableStream<Uint8Array>;
  /** Its standard error. */
  stderr: ReadableStream<Uint8Array>;
  /** Resolves when the leader has ended, however long others hold its output. */
  status: Promise<Deno.CommandStatus>;
}

/**
 * Tells who it is, then waits for a line: so the agent can write down what it is about to start
 * before it starts. If the agent dies first, standard input ends and nothing is run.
 */
const GATE = `
read -r AGENT_GATE </proc/$$/stat
printf '%s ' "$AGENT_GATE"
read -r AGENT_GATE </proc/sys/kernel/random/boot_id
printf '%s\\n' "$AGENT_GATE"
read -r AGENT_GATE || exit 125
unset AGENT_GATE
exec "$@" </dev/null`;

/**
 * Starts a child behind its gate.
 *
 * @throws what `Deno.Command` throws when the child cannot be started at all.
 */
export async function spawnGated(options: ChildOptions): Promise<GatedChild> {
  const child = new Deno.Command("/bin/sh", {
    args: ["-c", GATE, "sh", ...options.argv],
    env: { ...options.env, [TASK_ID_VARIABLE]: options.taskId },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  const introduction = await readIntroduction(child.stdout);
  return {
    group: {
      pid: child.pid,
      startTicks: startTicksOf(introduction),
      bootId: introduction.slice(introduction.lastIndexOf(" ") + 1),
    },
    open: () => openGate(child.stdin),
    refuse: () => child.stdin.close().catch(() => {}),
    stdout: child.stdout,
    stderr: child.stderr,
    status: child.status,
  };
}

/** One line and no more: the child writes nothing else before its gate is open. */
async function readIntroduction(stdout: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stdout.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  return text.trimEnd();
}

async function openGate(stdin: WritableStream<Uint8Array>): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode("\n"));
    await writer.close();
  } catch {
    // The child was ended while it waited; its status says so.
  }
}
