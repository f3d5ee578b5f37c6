/** The variable that marks every process of a task, for those that leave its process group. */
export const TASK_ID_VARIABLE = "AGENT_TASK_ID";

/** Identifies a process group across restarts of the agent and of the machine. */
export interface ProcessGroup {
  /** Process id of the leader, which is the id of its group and session too. */
  pid: number;
  /** When the leader started, in clock ticks since boot: a process id alone is used again. */
  startTicks: string;
  /** The boot in which those ticks are counted. */
  bootId: string;
}

interface ProcessInfo {
  pid: number;
  parent: number;
  group: number;
  session: number;
  startTicks: string;
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

function look(taskId: string): Deno.Command {
  return new Deno.Command("/bin/sh", {
    args: ["-c", LOOK, "sh", `${TASK_ID_VARIABLE}=${taskId}`],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  });
}

/**
 * What /proc/N/stat holds: id, name, state, parent, group, session, …, start time, …. A name may hold
 * anything, newlines too, but it is too short to hold all these numbers: the whole text is read from
 * its beginning, and nothing within a name is ever taken for a process.
 */
const STAT =
  /^(\d+) \([^]{0,64}?\) ([A-Za-z]) (-?\d+) (-?\d+) (-?\d+)(?: -?\d+){15} (\d+)(?: -?\d+)+$/gm;
const ENVIRON = /^\/proc\/(\d+)\/environ$/gm;

function parseLook({ stdout }: Deno.CommandOutput): Snapshot {
  const text = new TextDecoder().decode(stdout);
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
  /** Their ids. */
  pids: number[];
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
  return select(parseLook(await look(taskId).output()), group, seen);
}

/** The same without a wait, for an agent that must leave at once. */
export function findTaskProcessesNow(taskId: string, group?: ProcessGroup): number[] {
  return select(parseLook(look(taskId).outputSync()), group, new Map()).pids;
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
  return { pids: living.map(({ pid }) => pid), hasGroup };
}
