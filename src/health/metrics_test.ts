import assert from "node:assert/strict";
import { STATUS } from "./_test_status.ts";
import { renderMetrics } from "./metrics.ts";

Deno.test("metrics are Prometheus text with one HELP and one TYPE for each name", () => {
  const usage = { residentBytes: 1024, cpuSeconds: 1.5 };
  const text = renderMetrics(STATUS, usage);
  for (
    const line of [
      'noderax_agent_info{version="2\\"\\\\\\n0",node_id="n"} 1',
      "process_start_time_seconds 1767225600.5",
      "process_resident_memory_bytes 1024",
      "process_cpu_seconds_total 1.5",
      'noderax_agent_heartbeats_total{result="answered"} 7',
      'noderax_agent_heartbeats_total{result="failed"} 2',
      "noderax_agent_last_heartbeat_timestamp_seconds 1767225610",
      'noderax_agent_tasks_total{status="timeout"} 6',
      "noderax_agent_tasks_running 2",
      'noderax_agent_tasks_running_cpu_seconds{type="shell.exec"} 4.5',
      'noderax_agent_tasks_running_processes{type="shell.exec"} 3',
      "noderax_agent_log_backlog_bytes 99",
      "noderax_agent_realtime_connected 0",
      "noderax_agent_config_keys_pending_restart 2",
      "noderax_agent_terminals_open 2",
      'noderax_agent_health{state="healthy"} 0',
      'noderax_agent_health{state="degraded"} 1',
    ]
  ) assert(text.includes(`\n${line}\n`), line);
  for (const unknown of ["last_claim", "memory_bytes{"]) {
    assert(!text.includes(unknown), "what is not known has no sample");
  }
  const helped = [...text.matchAll(/^# HELP (\S+) \S/gm)].map(([, name]) => name);
  const typed = [...text.matchAll(/^# TYPE (\S+) (counter|gauge)$/gm)].map(([, name]) => name);
  assert.deepEqual(helped, typed);
  assert.equal(new Set(helped).size, helped.length);
  const named = [...text.matchAll(/^([a-z_]+)[{ ]/gm)].map(([, name]) => name);
  assert.deepEqual([...new Set(named)], helped);
});
