import type { AgentStatus } from "./agent_status.ts";

const calls = { answers: 7, failures: 2, failing: false };
/** The status of an agent that has done a little of everything. */
export const STATUS: AgentStatus = {
  version: '2"\\\n0',
  pid: 1,
  phase: "running",
  startedAt: "2026-01-01T00:00:00.500Z",
  nodeId: "n",
  apiUrl: "https://one",
  health: { state: "degraded", code: "realtime_down" },
  controlPlaneAnswers: true,
  heartbeats: { ...calls, answeredAt: "2026-01-01T00:00:10.000Z" },
  claims: calls,
  realtime: { enabled: true, connected: false },
  tasks: {
    running: [1, 2].map((id) => ({
      id: String(id),
      type: "shell.exec",
      since: "2026-01-01T00:00:00.500Z",
      used: { cpuMs: id * 1_500, pids: id },
    })),
    reporting: 1,
    ended: { success: 3, failed: 4, cancelled: 5, timeout: 6 },
    backlogBytes: 99,
  },
  terminals: 2,
  needsRestart: ["run_as_user", "api_url"],
  configFile: "/c",
  stateFolder: "/s",
};
