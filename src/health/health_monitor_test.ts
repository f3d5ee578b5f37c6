import assert from "node:assert/strict";
import { RefusedError, UnusableAnswerError } from "../control_plane/errors.ts";
import { loadConfig, RunningConfig } from "../config/mod.ts";
import type { RealtimeSnapshot } from "../realtime/realtime_link.ts";
import { AgentStatus } from "./agent_status.ts";
import { watchDisk } from "./disk_watch.ts";
import { HealthMonitor, type Sources } from "./health_monitor.ts";

const SETTINGS: Record<string, string> = {
  NODERAX_API_URL: "https://one",
  TASK_POLL_INTERVAL: "15s",
  REQUEST_TIMEOUT: "10s",
  REALTIME_ENABLED: "false",
  NODERAX_RECONNECT_SPREAD: "0s",
};

/** An agent of which a test says what happens, and when. */
async function monitor(settings: Record<string, string> = {}) {
  const all = { ...SETTINGS, ...settings };
  const loaded = await loadConfig({ env: (name) => all[name], searchPath: [] });
  const clock = { ms: 1_000 };
  const health = new HealthMonitor(new RunningConfig(loaded), () => clock.ms);
  const sources: Sources = {
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
  return { health, clock, sources };
}

Deno.test("the agent is alive while claims come to an end, however they do", async () => {
  const { health, clock } = await monitor();
  clock.ms += 115_000;
  assert.equal(health.notAlive, undefined);
  health.claims.failed(new Error("no answer within 25 s"));
  clock.ms += 115_000;
  assert.equal(health.notAlive, undefined);
  clock.ms += 1;
  assert.equal(health.notAlive, "no claim has come to an end for 115 s");
  health.heartbeats.answered();
  assert.notEqual(health.notAlive, undefined, "heartbeats go on by themselves");
  health.claims.answered();
  assert.equal(health.notAlive, undefined);
});

Deno.test("a claim may wait for the agent's turn", async () => {
  const { health, clock } = await monitor({ NODERAX_RECONNECT_SPREAD: "4m" });
  // The last pause of a turn in vain is one and a half of the spread.
  clock.ms += 360_000 + 115_000;
  assert.equal(health.notAlive, undefined);
  clock.ms += 1;
  assert.match(health.notAlive ?? "", /no claim/);
});

Deno.test("a claim that was asked to come later is no sign of a loop that stands", async () => {
  const { health, clock } = await monitor();
  health.claims.failed(new RefusedError(503, "maintenance", true, 120_000));
  clock.ms += 180_000 + 115_000;
  assert.equal(health.notAlive, undefined);
  clock.ms += 1;
  assert.match(health.notAlive ?? "", /no claim/);
  health.claims.failed(new Error("connection refused"));
  clock.ms += 115_001;
  assert.match(health.notAlive ?? "", /no claim/, "what an earlier answer asked for is over");
});

Deno.test("a claim that is held for longer than the contract allows counts as held for 30 s", async () => {
  const { health, clock } = await monitor({ TASK_POLL_INTERVAL: "10m" });
  clock.ms += 130_001;
  assert.match(health.notAlive ?? "", /no claim/);
});

Deno.test("while the approval is waited for, its questions count; at a stop nothing does", async () => {
  const { health, clock } = await monitor();
  health.enter("waiting for approval");
  health.approval.answered();
  assert.equal(health.controlPlaneAnswers, true);
  clock.ms += 100_000;
  health.approval.failed("HTTP status 500");
  assert.equal(health.controlPlaneAnswers, false);
  clock.ms += 100_000;
  assert.equal(health.notAlive, undefined);
  clock.ms += 1;
  assert.match(health.notAlive ?? "", /no question for the approval/);
  health.enter("running");
  assert.equal(health.notAlive, undefined, "claims begin only now");
  clock.ms += 600_000;
  assert.notEqual(health.notAlive, undefined);
  health.enter("stopping");
  clock.ms += 600_000;
  assert.equal(health.notAlive, undefined);
});

Deno.test("the agent is ready while the control plane has answered lately", async () => {
  const { health, clock } = await monitor();
  assert.equal(health.health.what, "the control plane has not answered yet");
  health.heartbeats.answered();
  assert.equal(health.health.what, undefined);
  clock.ms += 30_000;
  health.claims.failed(new Error("connection refused"));
  assert.equal(health.health.what, undefined, "one failure is no outage");
  clock.ms += 1;
  assert.equal(health.health.what, "the control plane does not answer: connection refused");
  health.claims.answered();
  assert.equal(health.health.what, undefined);
  health.enter("waiting for approval");
  assert.match(health.health.what ?? "", /approval/);
  health.enter("stopping");
  assert.match(health.health.what ?? "", /stopping/);
});

Deno.test("where realtime is wanted the agent is ready only while it is up", async () => {
  const { health, sources } = await monitor({ REALTIME_ENABLED: "true" });
  let realtime: RealtimeSnapshot | undefined;
  health.ask({ ...sources, realtime: () => realtime });
  health.claims.answered();
  assert.equal(health.health.what, "realtime is down: it is connecting");
  realtime = { connected: false, sinceMs: 0, problem: "auth error: go away" };
  assert.equal(health.health.what, "realtime is down: auth error: go away");
  realtime = { connected: true, sinceMs: 0, shared: true };
  assert.equal(health.health.code, "identity_shared");
  assert.match(health.health.fix ?? "", /enroll --again/);
  realtime = { connected: true, sinceMs: 0 };
  assert.equal(health.health.what, undefined);
});

Deno.test("the report is what its schema says, and knows what was told and asked", async () => {
  const { health, clock, sources } = await monitor();
  AgentStatus.parse(health.report());
  health.ask(sources);
  health.heartbeats.answered();
  health.claims.failed(new Error("no"));
  health.taskEnded("success");
  health.taskEnded("timeout");
  const beforeMs = Date.now();
  clock.ms += 5_000;
  const report = AgentStatus.parse(health.report());
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
  const { health, clock, sources } = await monitor();
  health.ask(sources);
  let changes = 0;
  health.onChange = () => changes++;
  health.claims.answered();
  assert.equal(health.sentence, "healthy, 1 task");
  health.claims.failed(new Error("no\nMAINPID=1\u0000\r\n" + "x".repeat(1_000)));
  clock.ms += 60_000;
  assert.match(
    health.sentence,
    /^unhealthy \(the control plane does not answer: no MAINPID=1 x+\), 1 task$/,
  );
  assert(health.sentence.length < 300);
  health.enter("waiting for approval");
  assert.equal(health.sentence, "waiting for approval");
  assert.equal(changes, 3);
});

Deno.test("refused credentials are seen at the first refusal, with the fix; an answer ends it", async () => {
  const { health, clock } = await monitor();
  health.claims.answered();
  clock.ms += 1_000;
  health.heartbeats.failed(new RefusedError(401, "Invalid agent credentials", true));
  const { state, code, what, since, fix } = health.health;
  assert.deepEqual([state, code], ["unhealthy", "credentials_refused"]);
  assert.match(what ?? "", /refuses this node's credentials: Invalid agent credentials/);
  assert.match(fix ?? "", /enroll --again/);
  assert.match(since ?? "", /Z$/);
  health.heartbeats.answered();
  assert.equal(health.health.state, "healthy");
});

Deno.test("a web server that is not the control plane is told from one that is out of reach", async () => {
  for (
    const [error, code] of [
      [new UnusableAnswerError("POST /x: the answer is not the control plane's"), "nonsense"],
      [new RefusedError(404, "HTTP status 404"), "nonsense"],
      [new RefusedError(503, "HTTP status 503"), "unreachable"],
      [new Error("connection refused"), "unreachable"],
    ] as const
  ) {
    const { health } = await monitor();
    health.claims.failed(error);
    assert.equal(health.health.state, "unhealthy");
    assert.match(health.health.code, new RegExp(code));
  }
});

Deno.test("what answers in the control plane's place degrades the agent at once", async () => {
  const { health, clock } = await monitor();
  health.claims.answered();
  const verdicts: string[] = [];
  for (const kind of [UnusableAnswerError, Error]) {
    health.heartbeats.failed(new kind("it is not the control plane's"));
    verdicts.push(`${health.health.state} ${health.health.code}`);
  }
  health.heartbeats.failed(new UnusableAnswerError("it is not the control plane's"));
  clock.ms += 60_000;
  verdicts.push(`${health.health.state} ${health.health.code}`);
  assert.deepEqual(verdicts, [
    "degraded control_plane_answers_nonsense",
    "healthy healthy",
    "unhealthy control_plane_answers_nonsense",
  ]);
});

Deno.test("a full disk degrades the agent until it has room; a claim loop that stands weighs more", async () => {
  const { health, clock } = await monitor();
  health.claims.answered();
  health.diskSeen("the disk of /x is full");
  assert.deepEqual([health.health.state, health.health.code], ["degraded", "disk_full"]);
  clock.ms += 600_000;
  assert.equal(health.health.code, "claim_loop_stalled");
  health.claims.answered();
  health.diskSeen(undefined);
  assert.equal(health.health.state, "healthy");
});

Deno.test("sustained failure of one of two loops is seen beside the other that works", async () => {
  for (
    const [bad, good, verdict] of [
      ["claims", "heartbeats", "unhealthy control_plane_unreachable all claims fail: HTTP 503"],
      ["heartbeats", "claims", "degraded control_plane_unreachable all heartbeats fail: HTTP 503"],
    ] as const
  ) {
    const { health, clock } = await monitor({ HEARTBEAT_INTERVAL: "15s" });
    const verdicts = [0, 30_000, 1].map((ms) => {
      clock.ms += ms;
      health[bad].failed(new Error("HTTP 503"));
      health[good].answered();
      const { state, code, what } = health.health;
      return [state, code, what].join(" ").trim();
    });
    assert.deepEqual(verdicts, ["healthy healthy", "healthy healthy", verdict]);
    health[bad].answered();
    assert.equal(health.health.state, "healthy");
  }
});

Deno.test("while there is enough to do, heartbeats alone tell, in their own time", async () => {
  const { health, clock } = await monitor({ HEARTBEAT_INTERVAL: "5m" });
  health.heartbeats.answered();
  health.claims.failed(new Error("connection reset"));
  health.claims.pause();
  const states: string[] = [];
  for (const ms of [315_000, 1]) {
    clock.ms += ms;
    health.claims.pause();
    states.push(health.health.state);
  }
  health.heartbeats.answered();
  clock.ms += 200_000;
  health.claims.failed(new Error("one failure after the pause is no outage"));
  states.push(health.health.state);
  clock.ms += 30_001;
  states.push(health.health.state);
  assert.deepEqual(states, ["healthy", "unhealthy", "healthy", "unhealthy"]);
});

Deno.test("a sandbox that binds tasks degrades the agent, which says what to do", async () => {
  const { health } = await monitor();
  health.claims.answered();
  health.lockedDown("task_isolation is child");
  const { state, code, what, fix } = health.health;
  assert.deepEqual([state, code], ["degraded", "tasks_locked_down"]);
  assert.match(what ?? "", /binds tasks and terminals: task_isolation is child$/);
  assert.match(fix ?? "", /task_isolation auto/);
});

Deno.test("a state folder that refuses degrades the agent until it can be written again", async () => {
  const { health } = await monitor();
  health.claims.answered();
  const folder = await Deno.makeTempDir({ prefix: "disk_watch_" });
  try {
    health.diskRefused("Read-only file system (os error 30)");
    const { state, code, what, fix } = health.health;
    assert.deepEqual([state, code], ["degraded", "state_not_writable"]);
    assert.match(what ?? "", /^the state folder cannot be written: Read-only file system/);
    assert.match(fix ?? "", /doctor/);
    const looked = Promise.withResolvers<void>();
    health.onWritable = looked.resolve;
    using _watch = watchDisk(folder, health);
    await looked.promise;
    assert.equal(health.health.state, "healthy");
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
