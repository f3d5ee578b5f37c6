import assert from "node:assert/strict";
import type { AgentStatus } from "../health/agent_status.ts";
import type { ServiceState } from "../system/systemd.ts";
import { localTime } from "../system/text.ts";
import { downHealth } from "./status.ts";
import { renderStatus, runs, type StatusFacts } from "./status_view.ts";

const NOW = new Date("2026-01-01T02:00:00Z");
const SERVICE: ServiceState = {
  load: "loaded",
  active: "active",
  sub: "running",
  enabled: "enabled",
  since: new Date("2026-01-01T00:00:00Z"),
  pid: 42,
  invocation: "0123",
  restarts: 0,
  result: "success",
  lastExit: undefined,
};
const STATUS: AgentStatus = {
  version: "2.0.0",
  pid: 42,
  phase: "running",
  startedAt: "2026-01-01T00:00:00.000Z",
  nodeId: "node-1",
  apiUrl: "https://cp.example.com",
  controlPlaneAnswers: true,
  heartbeats: { answers: 9, failures: 0, failing: false, answeredAt: "2026-01-01T01:59:48.000Z" },
  claims: { answers: 9, failures: 0, failing: false, answeredAt: "2026-01-01T01:59:57.000Z" },
  realtime: { enabled: true, connected: true, since: "2026-01-01T00:00:01.000Z" },
  tasks: {
    running: [{
      id: "task-1",
      type: "shell.exec",
      since: "2026-01-01T01:59:30.000Z",
      used: { cpuMs: 1_234, memoryBytes: 3 * 2 ** 20, pids: 1 },
    }],
    reporting: 1,
    ended: { success: 12, failed: 1, cancelled: 1, timeout: 0 },
    backlogBytes: 512,
  },
  terminals: 2,
  rootAccess: "operational",
  runAsUser: "noderax",
  needsRestart: [],
  configFile: "/etc/noderax-agent/config.json",
  stateFolder: "/var/lib/noderax-agent",
};
const HEALTHY: StatusFacts = {
  now: NOW,
  service: SERVICE,
  agent: { outcome: "answered", status: STATUS },
};
const FAILED: ServiceState = {
  ...SERVICE,
  active: "failed",
  sub: "failed",
  result: "watchdog",
  restarts: 3,
  lastExit: "signal 6",
};
const STARTED = localTime("2026-01-01T00:00:00Z");
const KNOWN = {
  configFile: "/etc/noderax-agent/config.json",
  stateFolder: "/var/lib/noderax-agent",
  isPending: false,
  nodeId: "node-1",
  apiUrl: "https://cp.example.com",
};

Deno.test("status of a healthy agent", () => {
  assert.equal(
    renderStatus(HEALTHY),
    `noderax-agent 2.0.0 is healthy.

Service        active (running) since ${STARTED}, for 2h; enabled at boot
Process        42, started ${STARTED}, up 2h
Node           node-1
Control plane  https://cp.example.com answers
               last heartbeat 12s ago
               last claim 3s ago
Realtime       up for 1h59m59s
Tasks          1 running, 1 reporting
               task-1 shell.exec, 30s: 1.2 s of CPU time, at most 3 MiB, at most 1 process
               since the start: 12 succeeded, 2 did not
Terminals      2 open
Backlog        512 bytes of output not delivered yet
Tasks run as   noderax
Root access    operational
Configuration  /etc/noderax-agent/config.json
State          /var/lib/noderax-agent
`,
  );
  assert(runs(HEALTHY));
});

Deno.test("status is coloured for who sees colours", () => {
  const text = renderStatus({ ...HEALTHY, color: true });
  assert(text.startsWith("noderax-agent 2.0.0 is \x1b[32mhealthy\x1b[0m.\n"), text);
});

Deno.test("status counts long times in days", () => {
  const service = { ...SERVICE, since: new Date(NOW.getTime() - 50 * 3_600_000) };
  assert.match(renderStatus({ ...HEALTHY, service }), /Service .*, for 2 days;/);
});

Deno.test("status names some of very many tasks, and counts the others", () => {
  const [task] = STATUS.tasks.running;
  assert(task);
  const running = Array.from({ length: 150 }, (_, at) => ({ ...task, id: `many-${at}` }));
  const status = { ...STATUS, tasks: { ...STATUS.tasks, running } };
  const text = renderStatus({ ...HEALTHY, agent: { outcome: "answered", status } });
  assert.match(text, /many-19 .*\n +and 130 more, which --json lists\n/);
  assert(!text.includes("many-20"));
});

Deno.test("status of an agent whose control plane is away", () => {
  const lastFailure = { at: "2026-01-01T01:59:59.000Z", why: "no answer within 10 s" };
  const text = renderStatus({
    ...HEALTHY,
    agent: {
      outcome: "answered",
      status: {
        ...STATUS,
        notReady: "the control plane does not answer: no answer within 10 s",
        controlPlaneAnswers: false,
        claims: { answers: 0, failures: 3, failing: true, lastFailure },
        realtime: { enabled: true, connected: false, problem: "auth error: gone" },
      },
    },
  });
  assert.match(text, /^noderax-agent 2\.0\.0 is degraded: the control plane does not/);
  assert.match(text, /cp\.example\.com does not answer\n/);
  assert.match(text, /last claim not answered yet; failed 1s ago: no answer within 10 s\n/);
  assert.match(text, /Realtime +down: auth error: gone\n/);
});

Deno.test("status of an agent that waits for its approval", () => {
  const { nodeId: _, ...pending } = STATUS;
  const status: AgentStatus = { ...pending, phase: "waiting for approval", notReady: "it waits" };
  const text = renderStatus({ ...HEALTHY, agent: { outcome: "answered", status } });
  assert.match(text, /Node +the enrollment is awaiting approval\n/);
  assert.match(text, /Control plane +\S+ answers\n/);
  assert(!text.includes("last claim") && !text.includes("Realtime"), text);
});

Deno.test("status of an agent that does not run says what is known without it", () => {
  const facts: StatusFacts = {
    now: NOW,
    service: FAILED,
    agent: { outcome: "down", health: downHealth(FAILED) },
    known: { ...KNOWN, controlPlaneProblem: "Connection refused" },
    log: ["one", "two"],
  };
  assert.equal(
    renderStatus(facts),
    `noderax-agent is unhealthy for 2h: the service fails again and again: systemd has started it again 3 times; its last exit: signal 6 (watchdog).
  fix: sudo noderax-agent doctor finds the cause

Service        failed (failed) since ${
      localTime(FAILED.since ?? "")
    }, for 2h; enabled at boot; restarted by systemd: 3; last exit: signal 6; result: watchdog
Node           node-1
Control plane  https://cp.example.com does not answer: Connection refused
Configuration  /etc/noderax-agent/config.json
State          /var/lib/noderax-agent
Last log       one
               two
`,
  );
  assert(!runs(facts));
  const { nodeId: _, apiUrl: __, configFile: ___, ...unset } = KNOWN;
  const text = renderStatus({ ...facts, service: undefined, known: { ...unset, isPending: true } });
  assert.match(text, /no systemd/);
  assert.match(text, /an enrollment is awaiting/);
  assert.match(text, /api_url is not set/);
});

Deno.test("status for somebody who must not ask says how to see more", () => {
  const facts: StatusFacts = {
    now: NOW,
    service: SERVICE,
    agent: { outcome: "denied" },
    configProblem: "/etc/noderax-agent/config.json cannot be read (permission denied): use root.",
  };
  const text = renderStatus(facts);
  assert.match(text, /^noderax-agent runs; only root .* sudo noderax-agent status\n/);
  assert.match(text, /Configuration +\/etc\/noderax-agent\/config\.json cannot be read/);
  assert(runs(facts));
  const unknown = { ...facts, service: { ...SERVICE, load: "not-found", active: "inactive" } };
  assert.match(renderStatus(unknown), /^noderax-agent may run;/);
  assert.match(renderStatus(unknown), /Service +not installed\n/);
  assert(!runs(unknown));
});

Deno.test("an agent that does not answer runs", () => {
  const facts: StatusFacts = { ...HEALTHY, agent: { outcome: "mute", why: "no answer in 2 s" } };
  assert.match(renderStatus(facts), /^noderax-agent runs, but does not say how it is: no answer/);
  assert(runs(facts));
});
