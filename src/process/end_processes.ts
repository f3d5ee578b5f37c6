import { setTimeout as delay } from "@std/async";
import {
  findTaskProcesses,
  findTaskProcessesNow,
  type ProcessGroup,
  type SeenProcesses,
  type TaskProcesses,
} from "./process_table.ts";

/** How long processes may take to leave after SIGTERM, in milliseconds. */
const GRACE_MS = 5_000;
/** How long to go on killing what SIGKILL did not end at once, in milliseconds. */
const KILL_MS = 5_000;
const FIRST_LOOK_MS = 20;
const MAX_LOOK_MS = 250;

/**
 * Ends every process of a task: `signal`, up to `graceMs` of grace, SIGKILL. Resolves once none
 * is left, with the number of those that not even SIGKILL could end (uninterruptible sleep, or
 * another user's).
 */
export async function endTaskProcesses(
  taskId: string,
  group: ProcessGroup | undefined,
  graceMs = GRACE_MS,
  signal: Deno.Signal = "SIGTERM",
): Promise<number> {
  const signalled = new Set<number>();
  const gentle = async ({ pids }: TaskProcesses) => {
    await sendSignals(pids.filter((pid) => !signalled.has(pid)), signal, new Set());
    pids.forEach((pid) => signalled.add(pid));
  };
  const asked = new Set<number>();
  const kill = async ({ pids, hasGroup }: TaskProcesses) => {
    if (group && hasGroup) killGroupNow(group);
    await sendSignals(pids, "SIGKILL", asked);
  };
  const seen: SeenProcesses = new Map();
  let hadGroup = false;
  const find = async () => {
    const found = await findTaskProcesses(taskId, group, seen);
    // Who forks fast enough is never there when it is looked for, but the kernel knows the group;
    // later its id might be another's.
    if (group && hadGroup && !found.hasGroup) killGroupNow(group);
    hadGroup = found.hasGroup;
    return found;
  };
  const left = await signalUntilGone(find, graceMs, gentle);
  if (left === 0) return 0;
  return await signalUntilGone(find, KILL_MS, kill);
}

/** Waits until a task's processes have left by themselves, for at most `limitMs` milliseconds. */
export async function awaitTaskProcesses(
  taskId: string,
  group: ProcessGroup | undefined,
  limitMs: number,
): Promise<void> {
  const seen: SeenProcesses = new Map();
  await signalUntilGone(() => findTaskProcesses(taskId, group, seen), limitMs, async () => {});
}

/** Kills every process of a task at once: the last act of an agent that must leave. */
export function killTaskProcessesNow(taskId: string, group: ProcessGroup): void {
  try {
    for (const pid of findTaskProcessesNow(taskId, group)) sendSignal(pid, "SIGKILL");
  } catch {
    // A machine too full of processes to look for ours: the group is within reach all the same.
  }
  killGroupNow(group);
}

/** Kills the group, which can be done even where no child can be started to look for the rest. */
export function killGroupNow(group: ProcessGroup): void {
  sendSignal(-group.pid, "SIGKILL");
}

/** A look takes time, in which a chain of forks may pass it by: only a second one proves that all are gone. */
async function signalUntilGone(
  find: () => Promise<TaskProcesses>,
  limitMs: number,
  signal: (found: TaskProcesses) => Promise<void>,
): Promise<number> {
  const end = performance.now() + limitMs;
  let wereGone = false;
  for (let pauseMs = FIRST_LOOK_MS;; pauseMs = Math.min(pauseMs * 2, MAX_LOOK_MS)) {
    const found = await find();
    const areGone = found.pids.length === 0;
    if (areGone && wereGone) return 0;
    wereGone = areGone;
    if (!areGone && performance.now() >= end) return found.pids.length;
    await signal(found);
    await delay(areGone ? FIRST_LOOK_MS : pauseMs);
  }
}

/**
 * Signals processes. Those that belong to somebody else may be root's, started through sudo by an
 * agent that is not root: sudo is asked to signal them, once for each (it may complain to people).
 */
async function sendSignals(pids: number[], signal: Deno.Signal, asked: Set<number>): Promise<void> {
  const refused = pids.filter((pid) => !sendSignal(pid, signal) && !asked.has(pid));
  if (refused.length === 0) return;
  refused.forEach((pid) => asked.add(pid));
  const numbers = [signal.slice("SIG".length), ...refused.map(String)];
  await new Deno.Command("sudo", {
    args: ["-n", "--", "/bin/sh", "-c", 'kill -s "$@"', "sh", ...numbers],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output().catch(() => {
    // There is no sudo: the next look tells what is left.
  });
}

/** False if the process belongs to somebody else. One that has just left is none to be signalled. */
function sendSignal(pid: number, signal: Deno.Signal): boolean {
  // To the kernel these are no process of a task but the agent, its group, or all there are.
  if (pid === Deno.pid || !Number.isInteger(pid) || Math.abs(pid) <= 1) return true;
  try {
    Deno.kill(pid, signal);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.PermissionDenied);
  }
}
