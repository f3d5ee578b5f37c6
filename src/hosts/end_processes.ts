import { delay } from "@std/async";
import {
  findTaskProcesses,
  findTaskProcessesNow,
  type ProcessGroup,
  type ProcessId,
  type SeenProcesses,
  type TaskProcesses,
} from "./process_table.ts";
import { killGroup, signalProcess, signalThroughSudo } from "./signal_process.ts";

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
  const signalled = new Set<string>();
  const gentle = async ({ processes }: TaskProcesses) => {
    const fresh = processes.filter((each) => !signalled.has(keyOf(each)));
    await sendSignals(fresh, signal, new Set());
    fresh.forEach((each) => signalled.add(keyOf(each)));
  };
  const asked = new Set<string>();
  const kill = async ({ processes, hasGroup }: TaskProcesses) => {
    if (group && hasGroup) killGroup(group);
    await sendSignals(processes, "SIGKILL", asked);
  };
  const seen: SeenProcesses = new Map();
  let hadGroup = false;
  const find = async () => {
    const found = await findTaskProcesses(taskId, group, seen);
    // Who forks fast enough is never there when it is looked for, but the kernel knows the group;
    // later its id might be another's.
    if (group && hadGroup && !found.hasGroup) killGroup(group);
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
    const { processes, hasGroup } = findTaskProcessesNow(taskId, group);
    if (hasGroup) killGroup(group);
    for (const each of processes) signalProcess(each, "SIGKILL");
  } catch {
    // A machine too full of processes to look for ours: the group is within reach all the same.
    killGroup(group);
  }
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
    const areGone = found.processes.length === 0;
    if (areGone && wereGone) return 0;
    wereGone = areGone;
    if (!areGone && performance.now() >= end) return found.processes.length;
    await signal(found);
    await delay(areGone ? FIRST_LOOK_MS : pauseMs);
  }
}

/**
 * Signals processes. Those that belong to somebody else may be root's, started through sudo by an
 * agent that is not root: sudo is asked to signal them, once for each (it may complain to people).
 */
async function sendSignals(
  processes: readonly ProcessId[],
  signal: Deno.Signal,
  asked: Set<string>,
): Promise<void> {
  const refused = processes.filter((each) =>
    signalProcess(each, signal) === "refused" && !asked.has(keyOf(each))
  );
  if (refused.length === 0) return;
  refused.forEach((each) => asked.add(keyOf(each)));
  await signalThroughSudo(refused, signal);
}

function keyOf({ pid, startTicks }: ProcessId): string {
  return `${pid} ${startTicks}`;
}
