import { openLibc, readKernelFile } from "../system/libc.ts";
import type { AgentStatus, TaskUsage } from "./agent_status.ts";
import { HEALTH_STATES } from "./verdict.ts";

/** What the kernel counts times in. */
const TICKS_A_SECOND = 100;

/** What the process has used so far. */
export interface Usage {
  /** Memory that is resident, in bytes. */
  residentBytes: number;
  /** Time of the processor, in seconds. */
  cpuSeconds: number;
}

type Labels = Record<string, string>;
type Sample = [value: number, labels?: Labels];

/** A metric of the agent's, named after Prometheus' conventions. */
export interface Metric {
  /** Its name; it ends with its unit. */
  readonly name: string;
  /** A counter's name ends with `_total`. */
  readonly type: "counter" | "gauge";
  /** What it is, in a sentence. */
  readonly help: string;
  /** What it is now; nothing where that is not known. */
  readonly samples: (status: AgentStatus, usage: Usage) => Sample[];
}

/** All of them, in the order in which they are served. */
export const METRICS: readonly Metric[] = [
  {
    name: "process_start_time_seconds",
    type: "gauge",
    help: "When the agent was started, since 1970.",
    samples: ({ startedAt }) => [[Date.parse(startedAt) / 1_000]],
  },
  {
    name: "process_resident_memory_bytes",
    type: "gauge",
    help: "Resident memory.",
    samples: (_, { residentBytes }) => [[residentBytes]],
  },
  {
    name: "process_cpu_seconds_total",
    type: "counter",
    help: "Time of the processor.",
    samples: (_, { cpuSeconds }) => [[cpuSeconds]],
  },
  {
    name: "noderax_agent_info",
    type: "gauge",
    help: "Always 1; version and node are its labels.",
    samples: ({ version, nodeId = "" }) => [[1, { version, node_id: nodeId }]],
  },
  {
    name: "noderax_agent_health",
    type: "gauge",
    help: "1 for the state that the agent is in, 0 for the others.",
    samples: ({ health }) =>
      health ? HEALTH_STATES.map((state) => [Number(state === health.state), { state }]) : [],
  },
  {
    name: "noderax_agent_heartbeats_total",
    type: "counter",
    help: "Heartbeats by result.",
    samples: ({ heartbeats }) => results(heartbeats),
  },
  {
    name: "noderax_agent_last_heartbeat_timestamp_seconds",
    type: "gauge",
    help: "When a heartbeat was answered last, since 1970.",
    samples: ({ heartbeats }) => lastAnswer(heartbeats),
  },
  {
    name: "noderax_agent_claims_total",
    type: "counter",
    help: "Claims by result.",
    samples: ({ claims }) => results(claims),
  },
  {
    name: "noderax_agent_last_claim_timestamp_seconds",
    type: "gauge",
    help: "When a claim was answered last, since 1970.",
    samples: ({ claims }) => lastAnswer(claims),
  },
  {
    name: "noderax_agent_tasks_running",
    type: "gauge",
    help: "Tasks that run.",
    samples: ({ tasks }) => [[tasks.running.length]],
  },
  {
    name: "noderax_agent_tasks_running_cpu_seconds",
    type: "gauge",
    help: "Time of processors that the tasks in units that run have used so far, by type.",
    samples: (status) => used(status, ({ cpuMs }) => cpuMs === undefined ? cpuMs : cpuMs / 1_000),
  },
  {
    name: "noderax_agent_tasks_running_memory_bytes",
    type: "gauge",
    help: "The most memory that was seen of each task in a unit that runs, in sum, by type.",
    samples: (status) => used(status, ({ memoryBytes }) => memoryBytes),
  },
  {
    name: "noderax_agent_tasks_running_processes",
    type: "gauge",
    help: "The most processes that were seen of each task in a unit that runs, in sum, by type.",
    samples: (status) => used(status, ({ pids }) => pids),
  },
  {
    name: "noderax_agent_tasks_reporting",
    type: "gauge",
    help: "Tasks that have ended, but are not all reported yet.",
    samples: ({ tasks }) => [[tasks.reporting]],
  },
  {
    name: "noderax_agent_tasks_total",
    type: "counter",
    help: "Tasks that have ended, by status.",
    samples: ({ tasks }) => Object.entries(tasks.ended).map(([status, n]) => [n, { status }]),
  },
  {
    name: "noderax_agent_log_backlog_bytes",
    type: "gauge",
    help: "Output of tasks that is not delivered yet, approximately.",
    samples: ({ tasks }) => [[tasks.backlogBytes]],
  },
  {
    name: "noderax_agent_config_keys_pending_restart",
    type: "gauge",
    help: "Configuration keys whose new values wait for a restart.",
    samples: ({ needsRestart }) => [[needsRestart.length]],
  },
  {
    name: "noderax_agent_terminals_open",
    type: "gauge",
    help: "Open terminals.",
    samples: ({ terminals }) => [[terminals]],
  },
  {
    name: "noderax_agent_realtime_enabled",
    type: "gauge",
    help: "1 if the realtime session is enabled.",
    samples: ({ realtime }) => [[Number(realtime.enabled)]],
  },
  {
    name: "noderax_agent_realtime_connected",
    type: "gauge",
    help: "1 while the realtime session is up.",
    samples: ({ realtime }) => [[Number(realtime.connected)]],
  },
];

/** {@linkcode Usage} of this process. */
function readUsage(): Usage {
  using libc = openLibc();
  const stat = readKernelFile(libc, "/proc/self/stat");
  // Behind the name in parentheses, which may hold anything.
  const [user = NaN, system = NaN] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11)
    .map(Number);
  return { residentBytes: Deno.memoryUsage().rss, cpuSeconds: (user + system) / TICKS_A_SECOND };
}

/** The Prometheus text format, version 0.0.4, of what the agent says of itself. */
export function renderMetrics(status: AgentStatus, usage: Usage = readUsage()): string {
  return METRICS.map((metric) => family(metric, metric.samples(status, usage))).join("");
}

/** One metric; nothing where there is no sample. */
function family({ name, type, help }: Metric, samples: Sample[]): string {
  if (samples.length === 0) return "";
  const lines = samples.map(([value, labels = {}]) => `${name}${labelled(labels)} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function labelled(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(value: string): string {
  return value.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
}

/** The sum over the tasks that run, for each type of them; whoever may ask learns no task's name. */
function used(
  { tasks }: AgentStatus,
  amount: (used: TaskUsage) => number | undefined,
): Sample[] {
  const sums = new Map<string, number>();
  for (const { type, used } of tasks.running) {
    const value = used && amount(used);
    if (value !== undefined) sums.set(type, (sums.get(type) ?? 0) + value);
  }
  return [...sums].map(([type, sum]) => [sum, { type }]);
}

function results({ answers, failures }: AgentStatus["claims"]): Sample[] {
  return [[answers, { result: "answered" }], [failures, { result: "failed" }]];
}

function lastAnswer({ answeredAt }: AgentStatus["claims"]): Sample[] {
  return answeredAt === undefined ? [] : [[Date.parse(answeredAt) / 1_000]];
}
