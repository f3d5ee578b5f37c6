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
grep -lsF -e "$1" /proc/[0-9]*/environ
exit 0`;

async function look(taskId: string): Promise<Snapshot> {
  const { stdout } = await new Deno.Command("/bin/sh", {
    args: ["-c", LOOK, "sh", `${TASK_ID_VARIABLE}=${taskId}`],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
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

/**
 * Finds the living processes of a task, zombies left out: its group and session (only if the
 * leader is the same process as when it was recorded), what descends from them, and whatever
 * carries the task's mark, however far it has detached itself.
 */
export async function findTaskProcesses(taskId: string, group?: ProcessGroup): Promise<number[]> {
  const { bootId, processes, marked } = await look(taskId);
  const found = new Set(marked);
  if (group?.startTicks && group.bootId === bootId) {
    const leader = processes.find(({ pid }) => pid === group.pid);
    if (leader?.startTicks === group.startTicks) {
      for (const { pid, group: id, session } of processes) {
        if (id === group.pid || session === group.pid) found.add(pid);
      }
    }
  }
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const { pid, parent } of processes) if (found.has(parent)) found.add(pid);
  }
  const living = new Set(processes.map(({ pid }) => pid));
  return [...found].filter((pid) => living.has(pid));
}
