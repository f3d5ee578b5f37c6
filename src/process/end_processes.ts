import { setTimeout as delay } from "@std/async";
import { findTaskProcesses, type ProcessGroup, type SeenProcesses } from "./process_table.ts";

/** How long processes may take to leave after SIGTERM, in milliseconds. */
export const GRACE_MS = 5_000;
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
  const gentle = (pid: number) => {
    if (!signalled.has(pid)) sendSignal(pid, signal);
    signalled.add(pid);
  };
  const seen: SeenProcesses = new Map();
  const find = () => findTaskProcesses(taskId, group, seen);
  const left = await signalUntilGone(find, graceMs, gentle);
  if (left === 0) return 0;
  return await signalUntilGone(find, KILL_MS, (pid) => sendSignal(pid, "SIGKILL"));
}

/** Kills the group at once, without waiting for anything: the last act of a process that must leave. */
export function killGroupNow(group: ProcessGroup): void {
  sendSignal(-group.pid, "SIGKILL");
}

async function signalUntilGone(
  find: () => Promise<number[]>,
  limitMs: number,
  signal: (pid: number) => void,
): Promise<number> {
  const end = performance.now() + limitMs;
  for (let pauseMs = FIRST_LOOK_MS;; pauseMs = Math.min(pauseMs * 2, MAX_LOOK_MS)) {
    const living = await find();
    if (living.length === 0) return 0;
    if (performance.now() >= end) return living.length;
    living.forEach(signal);
    await delay(pauseMs);
  }
}

function sendSignal(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch {
    // It has just left, or belongs to somebody else: the next look tells.
  }
}
