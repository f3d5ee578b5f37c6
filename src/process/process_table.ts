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

function parseLook({ stdout }: Deno.CommandOutput): Snapshot {
  const [bootId = "", ...lines] = new TextDecoder().decode(stdout).split("\n");
  const processes: ProcessInfo[] = [];
  const marked = new Set<number>();
  for (const line of lines) {
    const environ = /^\/proc\/(\d+)\/environ$/.exec(line);
    if (environ) marked.add(Number(environ[1]));
    else processes.push(...parseStat(line));
  }
  return { bootId, processes, marked };
}

/** The command name in a stat line may hold anything, so fields are counted behind its last parenthesis. */
function parseStat(line: string): ProcessInfo[] {
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const [state, parent, group, session] = fields;
  const startTicks = fields[19];
  if (startTicks === undefined || state === "Z" || state === "X") return [];
  return [{
    pid: Number.parseInt(line),
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    startTicks,
  }];
}

/** Processes that were found before: their start times by their ids. */
export type SeenProcesses = Map<number, string>;

/**
 * Finds the living processes of a task, zombies left out: its group and session (only if the
 * leader is the same process as when it was recorded), what descends from them, and whatever
 * carries the task's mark, however far it has detached itself. The agent itself never counts.
 *
 * What was `seen` by an earlier look stays found, and proves that the group is still the same one:
 * a process without the mark would be lost when its leader is the first to leave.
 */
export async function findTaskProcesses(
  taskId: string,
  group?: ProcessGroup,
  seen: SeenProcesses = new Map(),
): Promise<number[]> {
  return select(parseLook(await look(taskId).output()), group, seen);
}

/** The same without a wait, for an agent that must leave at once. */
export function findTaskProcessesNow(taskId: string, group?: ProcessGroup): number[] {
  return select(parseLook(look(taskId).outputSync()), group, new Map());
}

function select(
  { bootId, processes, marked }: Snapshot,
  group: ProcessGroup | undefined,
  seen: SeenProcesses,
): number[] {
  marked.delete(Deno.pid);
  const isSeen = ({ pid, startTicks }: ProcessInfo) => seen.get(pid) === startTicks;
  const found = new Set([...marked, ...processes.filter(isSeen).map(({ pid }) => pid)]);
  if (group?.startTicks && group.bootId === bootId) {
    const belongs = (info: ProcessInfo) => info.group === group.pid || info.session === group.pid;
    const isLeader = (info: ProcessInfo) =>
      info.pid === group.pid && info.startTicks === group.startTicks;
    if (processes.some((info) => isLeader(info) || (belongs(info) && isSeen(info)))) {
      for (const info of processes) if (belongs(info)) found.add(info.pid);
    }
  }
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const { pid, parent } of processes) if (found.has(parent)) found.add(pid);
  }
  const living = processes.filter(({ pid }) => found.has(pid));
  for (const { pid, startTicks } of living) seen.set(pid, startTicks);
  return living.map(({ pid }) => pid);
}
