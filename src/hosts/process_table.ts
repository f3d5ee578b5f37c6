import { runChild } from "../system/run_child.ts";

/** The variable that marks every process of a task, for those that leave its process group. */
export const TASK_ID_VARIABLE = "AGENT_TASK_ID";

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

/** Without all-access Deno may not read /proc, so a child does; `$1` is the mark, never code. */
const LOOK = `
cat /proc/sys/kernel/random/boot_id
cat /proc/[0-9]*/stat 2>/dev/null
grep -lszxF -e "$1" /proc/[0-9]*/environ
exit 0`;

/** The arguments of the shell that looks. */
function lookFor(taskId: string): string[] {
  return ["-c", LOOK, "sh", `${TASK_ID_VARIABLE}=${taskId}`];
}

/** When a process started, in ticks since boot, from all of its /proc/N/stat. */
export function startTicksOf(stat: string): string {
  // Behind its name, which may hold anything, come numbers alone.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

/**
 * What /proc/N/stat holds: id, name, state, parent, group, session, …, start time, …. A name may hold
 * anything, newlines too, but it is too short to hold all these numbers: the whole text is read from
 * its beginning, and nothing within a name is ever taken for a process.
 */
const STAT =
  /^(\d+) \([^]{0,64}?\) ([A-Za-z]) (-?\d+) (-?\d+) (-?\d+)(?: -?\d+){15} (\d+)(?: -?\d+)+$/gm;
const ENVIRON = /^\/proc\/(\d+)\/environ$/gm;

function parseLook(text: string): Snapshot {
  const processes: ProcessInfo[] = [];
  let end = 0;
  for (const match of text.matchAll(STAT)) {
    const [line, pid, state, parent, group, session, startTicks = ""] = match;
    end = match.index + line.length;
    if (state === "Z" || state === "X") continue;
    processes.push({
      pid: Number(pid),
      parent: Number(parent),
      group: Number(group),
      session: Number(session),
      startTicks,
    });
  }
  const marked = text.slice(end).matchAll(ENVIRON).map(([, pid]) => Number(pid));
  return { bootId: text.slice(0, text.indexOf("\n")), processes, marked: new Set(marked) };
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
  const { stdout } = await runChild(["/bin/sh", ...lookFor(taskId)]);
  return select(parseLook(stdout), group, seen);
}

/** The same without a wait, for an agent that must leave at once. */
export function findTaskProcessesNow(taskId: string, group?: ProcessGroup): TaskProcesses {
  const { stdout } = new Deno.Command("/bin/sh", {
    args: lookFor(taskId),
    stdin: "null",
    stderr: "null",
  }).outputSync();
  return select(parseLook(new TextDecoder().decode(stdout)), group, new Map());
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
