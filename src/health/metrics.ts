import process from "node:process";
import type { AgentStatus } from "./agent_status.ts";

/** What the process has used so far. */
export interface Usage {
  /** Memory that is resident, in bytes. */
  residentBytes: number;
  /** Time of the processor, in seconds. */
  cpuSeconds: number;
}

type Labels = Record<string, string>;
type Sample = [value: number, labels?: Labels];

/** {@linkcode Usage} of this process. */
function readUsage(): Usage {
  const { user, system } = process.cpuUsage();
  return { residentBytes: Deno.memoryUsage().rss, cpuSeconds: (user + system) / 1e6 };
}

/** The Prometheus text format, version 0.0.4, of what the agent says of itself. */
export function renderMetrics(
  status: AgentStatus,
  { residentBytes, cpuSeconds }: Usage = readUsage(),
  nowMs: number = Date.now(),
): string {
  const { version, nodeId = "", startedAt, heartbeats, claims, tasks, realtime, notReady } = status;
  const agent = "noderax_agent";
  return [
    family("process_start_time_seconds", "gauge", "When the agent was started, since 1970.", [
      [Date.parse(startedAt) / 1_000],
    ]),
    family("process_resident_memory_bytes", "gauge", "Resident memory.", [[residentBytes]]),
    family("process_cpu_seconds_total", "counter", "Time of the processor.", [[cpuSeconds]]),
    family(`${agent}_info`, "gauge", "Always 1.", [[1, { version, node_id: nodeId }]]),
    family(`${agent}_ready`, "gauge", "1 while /readyz says so.", [[notReady ? 0 : 1]]),
    family(`${agent}_heartbeats_total`, "counter", "Heartbeats by result.", results(heartbeats)),
    family(
      `${agent}_heartbeat_age_seconds`,
      "gauge",
      "Time since the last heartbeat that was answered.",
      age(heartbeats, nowMs),
    ),
    family(`${agent}_claims_total`, "counter", "Claims by result.", results(claims)),
    family(
      `${agent}_claim_age_seconds`,
      "gauge",
      "Time since the last claim that was answered.",
      age(claims, nowMs),
    ),
    family(`${agent}_tasks_running`, "gauge", "Tasks that run.", [[tasks.running.length]]),
    family(`${agent}_tasks_reporting`, "gauge", "Tasks that have ended, but are to be reported.", [
      [tasks.reporting],
    ]),
    family(
      `${agent}_tasks_total`,
      "counter",
      "Tasks that have ended, by status.",
      Object.entries(tasks.ended).map(([status, count]) => [count, { status }]),
    ),
    family(
      `${agent}_log_backlog_bytes`,
      "gauge",
      "Output of tasks that is not delivered yet, about so much.",
      [[tasks.backlogBytes]],
    ),
    family(
      `${agent}_config_needs_restart`,
      "gauge",
      "Configuration keys whose new values wait for a restart.",
      [[status.needsRestart.length]],
    ),
    family(`${agent}_terminals_open`, "gauge", "Open terminals.", [[status.terminals]]),
    family(`${agent}_realtime_enabled`, "gauge", "1 if realtime is wanted.", [
      [realtime.enabled ? 1 : 0],
    ]),
    family(`${agent}_realtime_connected`, "gauge", "1 while the realtime session is up.", [
      [realtime.connected ? 1 : 0],
    ]),
  ].join("");
}

/** One metric; nothing where there is no sample. */
function family(name: string, type: "counter" | "gauge", help: string, samples: Sample[]): string {
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

function results({ answers, failures }: AgentStatus["claims"]): Sample[] {
  return [[answers, { result: "answered" }], [failures, { result: "failed" }]];
}

function age({ answeredAt }: AgentStatus["claims"], nowMs: number): Sample[] {
  return answeredAt === undefined ? [] : [[Math.max(0, nowMs - Date.parse(answeredAt)) / 1_000]];
}
