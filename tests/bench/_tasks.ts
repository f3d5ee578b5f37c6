import { spread } from "../_figures.ts";
import { type Fleet } from "../_agent.ts";
import type { Task } from "../../scripts/dev/control_plane.ts";
import { onFleet, type Variant } from "./_agents.ts";
import { memoryOf } from "./_process.ts";
import type { Report } from "./_report.ts";

/** So many single tasks are run. */
export const SINGLE = 50;
const LISTS = 10;
/** So many times 100 are queued. */
export const QUEUES = 3;
/** So many lines are a log flood. */
export const LINES = 300_000;
const CALL_MS = 5;
const LIMIT_MS = 600_000;

/** The figures of single tasks and of many. */
export async function benchTasks(report: Report, variant: Variant): Promise<void> {
  await onFleet(variant, async (fleet) => {
    const tasks = await inTurn(fleet, SINGLE, () => fleet.shell("true"));
    report.line("task", spread(tasks.map(tookMs)).median);
    tellParts(report, fleet, tasks);
    const times: number[] = [];
    for (let i = 0; i < QUEUES; i++) times.push(await queued(fleet, 100));
    report.line("hundred", spread(times).median);
  });
  await onFleet(variant, async (fleet, agent) => {
    slowLogs(fleet);
    const startedMs = performance.now();
    const id = fleet.shell(`seq 1 ${LINES}`);
    await fleet.ended(id, LIMIT_MS);
    const seconds = (performance.now() - startedMs) / 1_000;
    const lines = fleet.lines(id);
    // A line that is not where it belongs is none that was delivered.
    const delivered = lines.filter((line, i) => line === String(i + 1)).length;
    report.line("logPeak", (await memoryOf(agent.pid)).peak);
    report.line("logLines", delivered / seconds);
    report.line("logLost", LINES - delivered);
  });
}

/** The list of all packages, where the machine has a package manager that the agent knows. */
export async function benchPackages(report: Report, variant: Variant): Promise<void> {
  await onFleet(variant, async (fleet) => {
    const list = () => fleet.controlPlane.queueTask({ type: "packageList", payload: {} });
    const tasks = await inTurn(fleet, LISTS, list);
    if (tasks.every(({ status }) => status === "success")) {
      report.line("packages", spread(tasks.map(tookMs)).median);
    } else report.tell("  no list of packages on this machine");
  });
}

/** How the cost grows with what is queued. */
export async function growTasks(report: Report, variant: Variant): Promise<void> {
  for (const count of [1, 10, 100, 1_000]) {
    await onFleet(variant, async (fleet, agent) => {
      report.beside(`${count} tasks queued, all completed`, await queued(fleet, count), "ms");
      const { peak } = await memoryOf(agent.pid);
      report.beside(`… peak memory (RSS) with ${count} tasks`, peak, "MB");
    });
  }
}

/** Has the control plane take its time with each log entry. */
export function slowLogs(fleet: Fleet): void {
  fleet.controlPlane.fault({ method: "POST", path: "/logs", latencyMs: CALL_MS });
}

/** What one task takes, from its claim to its end: the median, in milliseconds. */
export async function taskMs(fleet: Fleet, count: number): Promise<number> {
  return spread((await inTurn(fleet, count, () => fleet.shell("true"))).map(tookMs)).median;
}

/** Runs so many tasks, each when the one before has ended. */
async function inTurn(fleet: Fleet, count: number, queue: () => string): Promise<Task[]> {
  const tasks: Task[] = [];
  for (let i = 0; i < count; i++) tasks.push(await fleet.ended(queue(), LIMIT_MS));
  return tasks;
}

/** Queues so many at once; how long it takes until the last has ended, in milliseconds. */
export async function queued(fleet: Fleet, count: number): Promise<number> {
  const startedMs = performance.now();
  const ids = Array.from({ length: count }, () => fleet.shell("true"));
  for (const id of ids) await fleet.ended(id, LIMIT_MS);
  return performance.now() - startedMs;
}

function tookMs({ acceptedAt = NaN, endedAt = NaN }: Task): number {
  return endedAt - acceptedAt;
}

/** Where the time of a task goes, as the control plane sees its calls. */
function tellParts(report: Report, fleet: Fleet, tasks: Task[]): void {
  const calls = Map.groupBy(fleet.controlPlane.requests, ({ taskId }) => taskId);
  const arrival = (task: Task, call: string) =>
    calls.get(task.id)?.find(({ path }) => path.endsWith(`/${call}`))?.at ?? NaN;
  const part = (what: string, time: (task: Task) => number) => {
    report.beside(`one task: ${what}`, spread(tasks.map(time)).median, "ms");
  };
  part(
    "claim answered to `accepted`",
    (task) => arrival(task, "accepted") - (task.acceptedAt ?? NaN),
  );
  part("`accepted` to `started`", (task) => arrival(task, "started") - arrival(task, "accepted"));
  part("`started` to completion", (task) => (task.endedAt ?? NaN) - arrival(task, "started"));
}
