import { bootTime } from "../system/boot_time.ts";
import { settlesWithin } from "../system/deadline.ts";
import { openLibc, readKernelFile, readKernelFolder, readSlowKernelFile } from "../system/libc.ts";

/** The variable that marks every process of a task, for those that leave its process group. */
export const TASK_ID_VARIABLE = "AGENT_TASK_ID";

/** How long the environment of a process that sleeps may take, in milliseconds. */
const ASLEEP_MS = 1_000;

/** Identifies a process while the machine runs. */
export interface ProcessId {
  /** Its id, which is used again. */
  pid: number;
  /** When it started, in clock ticks since boot. */
  startTicks: string;
}

/** Identifies a process group, by its leader, across restarts of the agent and of the machine. */
export interface ProcessGroup extends ProcessId {
  /** The boot in which those ticks are counted. */
  bootId: string;
  /** The unit of systemd's in which the program runs, if it is in one: that alone counts then. */
  unit?: string | undefined;
}

interface ProcessInfo extends ProcessId {
  parent: number;
  group: number;
  session: number;
}

/** What a look at the machine's processes showed. */
interface Snapshot {
  bootId: string;
  processes: ProcessInfo[];
  /** Process ids whose environment names the task. */
  marked: Set<number>;
}

/** When a process started, in ticks since boot, from all of its /proc/N/stat. */
export function startTicksOf(stat: string): string {
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

/**
 * The group that a process leads, or is about to lead.
 *
 * @throws when the process is not there.
 */
export function processGroupOf(pid: number): ProcessGroup {
  using libc = openLibc();
  const startTicks = startTicksOf(readKernelFile(libc, `/proc/${pid}/stat`));
  return { pid, startTicks, bootId: bootTime().bootId };
}

/**
 * Looks at all processes through the C library. The environment of one in uninterruptible sleep may
 * not be readable before it wakes: these are `asleep`, for a reader who can wait.
 */
function look(taskId: string): { snapshot: Snapshot; asleep: number[] } {
  using libc = openLibc();
  const processes: ProcessInfo[] = [];
  const marked = new Set<number>();
  const asleep: number[] = [];
  for (const name of readKernelFolder(libc, "/proc") ?? []) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = ifThere(() => readKernelFile(libc, `/proc/${pid}/stat`));
    if (stat === undefined) continue;
    // Behind its name, which may hold anything, come numbers alone.
    const [state, parent, group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (state === undefined || "ZX".includes(state)) continue;
    processes.push({
      pid,
      parent: Number(parent),
      group: Number(group),
      session: Number(session),
      startTicks: startTicksOf(stat),
    });
    if (state === "D") asleep.push(pid);
    else if (isMarked(ifThere(() => readKernelFile(libc, environOf(pid))), taskId)) marked.add(pid);
  }
  return { snapshot: { bootId: bootTime().bootId, processes, marked }, asleep };
}

function environOf(pid: number): string {
  return `/proc/${pid}/environ`;
}

/** Whether an environment, as /proc has it, names the task. */
function isMarked(environ: string | undefined, taskId: string): boolean {
  return environ !== undefined && `\0${environ}\0`.includes(`\0${TASK_ID_VARIABLE}=${taskId}\0`);
}

/** Processes come and go, and some are somebody else's. */
function ifThere(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Processes that were found before: their start times by their ids. */
export type SeenProcesses = Map<number, string>;

/** The living processes of a task. */
export interface TaskProcesses {
  /** Each of them. */
  processes: ProcessId[];
  /** Whether the group that was asked for is proven to be the task's still. */
  hasGroup: boolean;
}

/**
 * Finds the living processes of a task, zombies left out: its group and session (only if the
 * leader is the same process as when it was recorded), what descends from them, and whatever
 * carries the task's mark, however far it has detached itself. The agent itself never counts.
 *
 * What was `seen` by an earlier look stays found, and proves that the group is still the same one,
 * as a mark does: a process without it would be lost when its leader is the first to leave.
 */
export async function findTaskProcesses(
  taskId: string,
  group?: ProcessGroup,
  seen: SeenProcesses = new Map(),
): Promise<TaskProcesses> {
  const { snapshot, asleep } = look(taskId);
  const reads = asleep.map(async (pid) => {
    const environ = await readSlowKernelFile(environOf(pid)).catch(() => undefined);
    if (isMarked(environ, taskId)) snapshot.marked.add(pid);
  });
  if (reads.length > 0) await settlesWithin(Promise.all(reads), ASLEEP_MS);
  return select(snapshot, group, seen);
}

/** The same without a wait, for an agent that must leave at once. */
export function findTaskProcessesNow(taskId: string, group?: ProcessGroup): TaskProcesses {
  return select(look(taskId).snapshot, group, new Map());
}

function select(
  { bootId, processes, marked }: Snapshot,
  group: ProcessGroup | undefined,
  seen: SeenProcesses,
): TaskProcesses {
  marked.delete(Deno.pid);
  const isSeen = ({ pid, startTicks }: ProcessInfo) => seen.get(pid) === startTicks;
  const found = new Set([...marked, ...processes.filter(isSeen).map(({ pid }) => pid)]);
  let hasGroup = false;
  if (group?.startTicks && group.bootId === bootId) {
    const belongs = (info: ProcessInfo) => info.group === group.pid || info.session === group.pid;
    const isLeader = (info: ProcessInfo) =>
      info.pid === group.pid && info.startTicks === group.startTicks;
    hasGroup = processes.some((info) => isLeader(info) || (belongs(info) && found.has(info.pid)));
    if (hasGroup) { for (const info of processes) if (belongs(info)) found.add(info.pid); }
  }
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const { pid, parent } of processes) if (found.has(parent)) found.add(pid);
  }
  const living = processes.filter(({ pid }) => found.has(pid));
  for (const { pid, startTicks } of living) seen.set(pid, startTicks);
  return { processes: living, hasGroup };
}
