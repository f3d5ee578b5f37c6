import assert from "node:assert/strict";
import { loadConfig } from "../config/mod.ts";
import type { RealtimeSnapshot } from "../realtime/realtime_session.ts";
import { AgentStatus } from "./agent_status.ts";
import { type Sources, Vitals } from "./vitals.ts";

const SETTINGS: Record<string, string> = {
  NODERAX_API_URL: "https://one",
  TASK_POLL_INTERVAL: "15s",
  REQUEST_TIMEOUT: "10s",
  REALTIME_ENABLED: "false",
};

/** An agent of which a test says what happens, and when. */
async function patient(settings: Record<string, string> = {}) {
  const all = { ...SETTINGS, ...settings };
  const loaded = await loadConfig({ env: (name) => all[name], searchPath: [] });
  const clock = { ms: 1_000 };
  const vitals = new Vitals(loaded, () => clock.ms);
  const sources: Sources = {
    config: () => loaded.config,
    nodeId: "n-1",
    tasks: () => ({
      running: [{ id: "t-1", type: "shell.exec", since: "2026-01-01T00:00:00Z" }],
      reporting: 2,
      backlogBytes: 30,
    }),
    realtime: () => undefined,
    terminals: () => 4,
    rootAccess: () => "off",
  };
  return { vitals, clock, sources };
}

Deno.test("the agent is alive while claims come to an end, however they do", async () => {
  const { vitals, clock } = await patient();
  clock.ms += 115_000;
  assert.equal(vitals.ailment, undefined);
  vitals.claims.failed(new Error("no answer within 25 s"));
  clock.ms += 115_000;
  assert.equal(vitals.ailment, undefined);
  clock.ms += 1;
  assert.equal(vitals.ailment, "no claim has come to an end for 115 s");
  vitals.heartbeats.answered();
  assert.notEqual(vitals.ailment, undefined, "heartbeats go on by themselves");
  vitals.claims.answered();
  assert.equal(vitals.ailment, undefined);
});

Deno.test("a claim that is held for longer than the contract allows counts as held for 30 s", async () => {
  const { vitals, clock } = await patient({ TASK_POLL_INTERVAL: "10m" });
  clock.ms += 130_001;
  assert.match(vitals.ailment ?? "", /no claim/);
});

Deno.test("while the approval is waited for, its questions count; at a stop nothing does", async () => {
  const { vitals, clock } = await patient();
  vitals.enter("waiting for approval");
  vitals.approval.answered();
  assert.equal(vitals.controlPlaneAnswers, true);
  clock.ms += 100_000;
  vitals.approval.failed("HTTP status 500");
  assert.equal(vitals.controlPlaneAnswers, false);
  clock.ms += 100_000;
  assert.equal(vitals.ailment, undefined);
  clock.ms += 1;
  assert.match(vitals.ailment ?? "", /no question for the approval/);
  vitals.enter("running");
  assert.equal(vitals.ailment, undefined, "claims begin only now");
  clock.ms += 600_000;
  assert.notEqual(vitals.ailment, undefined);
  vitals.enter("stopping");
  clock.ms += 600_000;
  assert.equal(vitals.ailment, undefined);
});

Deno.test("the agent is ready while the control plane has answered lately", async () => {
  const { vitals, clock } = await patient();
  assert.equal(vitals.notReady, "the control plane has not answered yet");
  vitals.heartbeats.answered();
  assert.equal(vitals.notReady, undefined);
  clock.ms += 30_000;
  vitals.claims.failed(new Error("connection refused"));
  assert.equal(vitals.notReady, undefined, "one failure is no outage");
  clock.ms += 1;
  assert.equal(vitals.notReady, "the control plane does not answer: connection refused");
  vitals.claims.answered();
  assert.equal(vitals.notReady, undefined);
  vitals.enter("waiting for approval");
  assert.match(vitals.notReady ?? "", /approval/);
  vitals.enter("stopping");
  assert.match(vitals.notReady ?? "", /stopping/);
});

Deno.test("where realtime is wanted the agent is ready only while it is up", async () => {
  const { vitals, sources } = await patient({ REALTIME_ENABLED: "true" });
  let realtime: RealtimeSnapshot | undefined;
  vitals.ask({ ...sources, realtime: () => realtime });
  vitals.claims.answered();
  assert.equal(vitals.notReady, "realtime is down: it is connecting");
  realtime = { connected: false, sinceMs: 0, problem: "auth error: go away" };
  assert.equal(vitals.notReady, "realtime is down: auth error: go away");
  realtime = { connected: true, sinceMs: 0 };
  assert.equal(vitals.notReady, undefined);
});

Deno.test("the report is what its schema says, and knows what was told and asked", async () => {
  const { vitals, clock, sources } = await patient();
  AgentStatus.parse(vitals.report());
  vitals.ask(sources);
  vitals.heartbeats.answered();
  vitals.claims.failed(new Error("no"));
  vitals.taskEnded("success");
  vitals.taskEnded("timeout");
  const beforeMs = Date.now();
  clock.ms += 5_000;
  const report = AgentStatus.parse(vitals.report());
  const answeredMs = Date.parse(report.heartbeats.answeredAt ?? "");
  assert(answeredMs >= beforeMs - 5_000 && answeredMs <= Date.now() - 5_000, `${answeredMs} ms`);
  assert.equal(report.nodeId, "n-1");
  assert.equal(report.claims.lastFailure?.why, "no");
  assert.equal(report.claims.failing, true);
  assert.deepEqual(report.tasks.ended, { success: 1, failed: 0, cancelled: 0, timeout: 1 });
  assert.equal(report.tasks.running[0]?.id, "t-1");
  assert.equal(report.terminals, 4);
});

Deno.test("the sentence for the service manager stays on one line, whatever a server says", async () => {
  const { vitals, sources } = await patient();
  vitals.ask(sources);
  let changes = 0;
  vitals.onChange = () => changes++;
  vitals.claims.answered();
  assert.equal(vitals.sentence, "connected, 1 task");
  vitals.claims.failed(new Error("no\nMAINPID=1\u0000\r\n" + "x".repeat(1_000)));
  assert.match(vitals.sentence, /^control plane away \(no MAINPID=1 x+\), 1 task$/);
  assert(vitals.sentence.length < 250);
  vitals.enter("waiting for approval");
  assert.equal(vitals.sentence, "waiting for approval");
  assert.equal(changes, 3);
});
