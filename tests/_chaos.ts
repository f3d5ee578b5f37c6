import assert from "node:assert/strict";
import { join } from "@std/path";
import type { Task } from "../scripts/dev/control_plane.ts";
import type { Fleet } from "./_agent.ts";
import { textOf } from "./_processes.ts";

/** A command that notes that it runs and prints 1 to `lines`, with a pause after each line. */
export function countingCommand(fleet: Fleet, lines: number, pauseSeconds = 0): string {
  const note = `echo run >>${fleet.folder}/$AGENT_TASK_ID.runs`;
  if (pauseSeconds === 0) return `${note}; seq ${lines}`;
  return `${note}; for i in $(seq ${lines}); do echo $i; sleep ${pauseSeconds}; done`;
}

/**
 * What must hold for a task of {@linkcode countingCommand} whatever was done to the agent: it has
 * ended, was not run twice, and its lines are there in order up to where it got. A line may be
 * there twice, for an answer that was lost.
 */
export async function assertKept(fleet: Fleet, task: Readonly<Task>, lines: number): Promise<void> {
  const story = fleet.controlPlane.describe(task.id);
  const succeeded = task.status === "success";
  assert(["success", "failed", "cancelled"].includes(task.status), `not ended: ${story}`);
  const runs = (await textOf(join(fleet.folder, `${task.id}.runs`))).length / "run\n".length;
  assert(runs <= 1 && (runs === 1 || !succeeded), `run ${runs} times: ${story}`);
  const printed = [...new Set(fleet.lines(task.id).filter((line) => line !== ""))];
  const expected = Array.from({ length: succeeded ? lines : printed.length }, (_, i) => `${i + 1}`);
  assert.deepEqual(printed, expected, story);
}

/** What must hold besides where no proxy can hold a call back whose caller has hung up. */
export async function assertKeptInTurn(
  fleet: Fleet,
  task: Readonly<Task>,
  lines: number,
): Promise<void> {
  await assertKept(fleet, task, lines);
  const { controlPlane: cp } = fleet;
  assert(cp.maxInFlight(task.id) <= 1, `calls in flight together: ${cp.describe(task.id)}`);
}

/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
export function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
