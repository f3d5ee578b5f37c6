import assert from "node:assert/strict";
import type { AgentStatus } from "./agent_status.ts";
import { renderMetrics } from "./metrics.ts";

const calls = { answers: 7, failures: 2, failing: false };
const STATUS: AgentStatus = {
  version: '2"\\\n0',
  pid: 1,
  phase: "running",
  startedAt: "2026-01-01T00:00:00.500Z",
  nodeId: "n",
  apiUrl: "https://one",
  controlPlaneAnswers: true,
  heartbeats: { ...calls, answeredAt: "2026-01-01T00:00:10.000Z" },
  claims: calls,
  realtime: { enabled: true, connected: false },
  tasks: {
    running: [],
    reporting: 1,
    ended: { success: 3, failed: 4, cancelled: 5, timeout: 6 },
    backlogBytes: 99,
  },
  terminals: 2,
  needsRestart: ["run_as_user", "api_url"],
  configFile: "/c",
  stateFolder: "/s",
};

Deno.test("metrics are Prometheus text with one HELP and one TYPE for each name", () => {
  const usage = { residentBytes: 1024, cpuSeconds: 1.5 };
  const text = renderMetrics(STATUS, usage, Date.parse("2026-01-01T00:00:12.500Z"));
  for (
    const line of [
      'noderax_agent_info{version="2\\"\\\\\\n0",node_id="n"} 1',
      "process_start_time_seconds 1767225600.5",
      "process_resident_memory_bytes 1024",
      "process_cpu_seconds_total 1.5",
      'noderax_agent_heartbeats_total{result="answered"} 7',
      'noderax_agent_heartbeats_total{result="failed"} 2',
      "noderax_agent_heartbeat_age_seconds 2.5",
      'noderax_agent_tasks_total{status="timeout"} 6',
      "noderax_agent_log_backlog_bytes 99",
      "noderax_agent_realtime_connected 0",
      "noderax_agent_config_needs_restart 2",
      "noderax_agent_terminals_open 2",
      "noderax_agent_ready 1",
    ]
  ) assert(text.includes(`\n${line}\n`), line);
  assert(!text.includes("claim_age"), "what is not known has no sample");
  const helped = [...text.matchAll(/^# HELP (\S+) \S/gm)].map(([, name]) => name);
  const typed = [...text.matchAll(/^# TYPE (\S+) (counter|gauge)$/gm)].map(([, name]) => name);
  assert.deepEqual(helped, typed);
  assert.equal(new Set(helped).size, helped.length);
  const named = [...text.matchAll(/^([a-z_]+)[{ ]/gm)].map(([, name]) => name);
  assert.deepEqual([...new Set(named)], helped);
});
