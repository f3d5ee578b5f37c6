import assert from "node:assert/strict";
import { join } from "@std/path";
import { type AgentProcess, Fleet } from "./_agent.ts";
import { eventually, livingWith, PATIENCE_MS } from "./_processes.ts";
import { untilThere } from "./_shell.ts";
import { tell, together } from "./_together.ts";

/** So long that an agent which left by then has not waited for it. */
const LONG = { shutdown_timeout: "10m" };
const RESTARTED = "the agent was restarted while the task ran";

/** Signals to an agent to leave; gives its exit code and how long it took, and tells that. */
async function leaving(
  agent: AgentProcess,
  signal: Deno.Signal,
  how: string,
): Promise<{ code: number; tookMs: number }> {
  const sinceMs = performance.now();
  agent.signal(signal);
  const { code } = await agent.ended();
  const tookMs = performance.now() - sinceMs;
  tell(`${how}: left after ${tookMs.toFixed()} ms`);
  return { code, tookMs };
}

Deno.test("an agent that has nothing to do stops at once", async () => {
  const stops = async (signal: Deno.Signal) => {
    await using fleet = await Fleet.start({ ...LONG, task_poll_interval: "30s" });
    const { controlPlane: cp } = fleet;
    await using agent = await fleet.agent();
    await cp.waitFor(() => cp.heldClaims === 1, { what: "a claim that is held" });
    const claim = cp.requests.find(({ path }) => path.endsWith("/claim"));
    const { code, tookMs } = await leaving(agent, signal, `idle, ${signal}`);
    assert.equal(code, 0);
    // Neither the claim nor the time that tasks have to finish is waited for.
    await cp.waitFor(() => claim?.outcome !== "pending", { what: "the end of the claim" });
    assert.equal(claim?.outcome, "gone");
    assert(tookMs < PATIENCE_MS, `it took ${tookMs} ms`);
    assert.equal(agent.logged("stopping")[0]?.signal, signal);
    assert.deepEqual(agent.logged("agent stopped").length, 1);
  };
  await together({
    "SIGTERM": () => stops("SIGTERM"),
    "SIGINT": () => stops("SIGINT"),
  });
});

const STOPS = {
  "a task that finishes in time is left alone": async () => {
    await using fleet = await Fleet.start(LONG);
    const { controlPlane: cp } = fleet;
    await using agent = await fleet.agent();
    const go = join(fleet.folder, "go");
    const id = fleet.shell(`echo begun; ${untilThere(go)}; echo done`);
    await cp.waitForTask(id, ({ logs }) => logs.length > 0);
    const left = leaving(agent, "SIGTERM", "a task that finishes");
    await agent.waitForLog("stopping", ({ tasks }) => tasks === 1);
    const late = fleet.shell("true");
    await Deno.writeTextFile(go, "");
    const { code, tookMs } = await left;
    assert.equal(code, 0);
    assert(tookMs < PATIENCE_MS, `it took ${tookMs} ms`);
    const { status, completion } = cp.task(id);
    assert.equal(status, "success");
    assert.equal(completion?.output, "begun\ndone");
    assert.equal(cp.streamText(id, "stdout"), "begun\ndone");
    assert.deepEqual(cp.task(late).logs, []);
    assert.equal(cp.requests.some(({ taskId }) => taskId === late), false, "no new claims");
    assert.deepEqual(cp.violations, []);
  },

  "tasks that do not are ended and reported": async () => {
    await using fleet = await Fleet.start({ shutdown_timeout: "1s" });
    const { controlPlane: cp } = fleet;
    await using agent = await fleet.agent();
    const ids = [
      fleet.shell("echo begun; sleep 1000"),
      fleet.shell(`trap "" TERM; echo begun; while :; do sleep 0.2; done`),
      fleet.shell(`trap "echo cleaned up; exit 0" TERM; echo begun; while :; do sleep 0.2; done`),
    ];
    for (const id of ids) await cp.waitForTask(id, ({ logs }) => logs.length > 0);
    const how = "tasks that do not finish, 1 s for them";
    const { code, tookMs } = await leaving(agent, "SIGTERM", how);
    assert.equal(code, 0);
    assert(tookMs > 900 && tookMs < PATIENCE_MS, `it took ${tookMs} ms`);
    for (const id of ids) {
      const { status, completion } = cp.task(id);
      assert.equal(status, "failed", cp.describe(id));
      assert.equal(completion?.error, "agent is stopping");
      assert.equal(cp.streamText(id, "system"), "[agent is stopping]");
      assert.deepEqual(await livingWith(id), []);
      await fleet.closed(id);
    }
    assert.deepEqual(fleet.lines(ids[2] ?? ""), ["begun", "cleaned up"]);
    assert.deepEqual(cp.violations, []);
  },

  "a second signal ends it at once, and the next start reports": async () => {
    await using fleet = await Fleet.start(LONG);
    const { controlPlane: cp } = fleet;
    const id = fleet.shell(
      `trap "" TERM; setsid sleep 1000 & echo begun; while :; do sleep 0.2; done`,
    );
    {
      await using agent = await fleet.agent();
      await cp.waitForTask(id, ({ logs }) => logs.length > 0);
      agent.signal("SIGTERM");
      await agent.waitForLog("stopping");
      const { code, tookMs } = await leaving(agent, "SIGINT", "a second signal");
      assert.equal(code, 1);
      assert(tookMs < PATIENCE_MS, `it took ${tookMs} ms`);
      await eventually("the end of the process", async () => (await livingWith(id)).length === 0);
      assert.equal(cp.task(id).status, "running");
    }
    await using _next = await fleet.agent();
    const { completion } = await fleet.ended(id);
    assert.equal(completion?.status, "failed");
    assert.equal(completion.error, RESTARTED);
    assert.deepEqual(cp.violations, []);
  },

  "without a control plane it leaves in time, and the next start reports": async () => {
    await using fleet = await Fleet.start({ shutdown_timeout: "1s" });
    const { controlPlane: cp } = fleet;
    const [go, over] = [join(fleet.folder, "go"), join(fleet.folder, "over")];
    const done = fleet.shell(`echo 1; ${untilThere(go)}; seq 2 10; : >${over}`);
    const endless = fleet.shell("echo begun; sleep 1000");
    {
      await using agent = await fleet.agent();
      await cp.waitForTask(done, ({ logs }) => logs.length > 0);
      await cp.waitForTask(endless, ({ logs }) => logs.length > 0);
      await cp.stop();
      await Deno.writeTextFile(go, "");
      await eventually("the end of a task", () => Deno.stat(over).catch(() => undefined));
      const { code, tookMs } = await leaving(agent, "SIGTERM", "without a control plane");
      assert.equal(code, 0);
      assert(tookMs < PATIENCE_MS, `it took ${tookMs} ms`);
      const kept = agent.logged("task end is saved for the next start");
      assert.deepEqual(kept.map(({ taskId }) => taskId).sort(), [done, endless].sort());
      assert.deepEqual(await livingWith(endless), []);
    }
    await cp.start();
    await using _next = await fleet.agent();
    await fleet.ended(done);
    const { completion } = await fleet.ended(endless);
    assert.equal(completion?.error, "agent is stopping");
    assert.equal([...new Set(fleet.lines(done))].join(), "1,2,3,4,5,6,7,8,9,10");
    await fleet.closed(done);
    await fleet.closed(endless);
    assert.deepEqual(cp.violations, []);
  },

  "SIGHUP reads the configuration again, tasks go on": async () => {
    await using fleet = await Fleet.start({ log_level: "info" });
    const { controlPlane: cp } = fleet;
    await using agent = await fleet.agent();
    const go = join(fleet.folder, "go");
    const id = fleet.shell(`echo begun; ${untilThere(go)}; echo done`);
    await cp.waitForTask(id, ({ logs }) => logs.length > 0);
    await fleet.configure({ log_level: "debug", task_timeout: "1s", node_id: crypto.randomUUID() });
    agent.signal("SIGHUP");
    const { needsRestart } = await agent.waitForLog("configuration reloaded");
    assert.deepEqual(needsRestart, ["node_id"]);
    await Deno.writeTextFile(go, "");
    assert.equal((await fleet.ended(id)).status, "success");
    const overdue = await fleet.ended(fleet.shell("sleep 1000"));
    assert.equal(overdue.reason, "timeout", "a new task has the new limit");

    await fleet.configure({ log_level: "loud" });
    agent.signal("SIGHUP");
    const { error } = await agent.waitForLog("configuration could not be reloaded");
    assert.match(String(error), /log_level/);
    const next = fleet.shell("true", { timeout: "10m" });
    assert.equal((await fleet.ended(next)).status, "success", "the agent goes on");

    assert.deepEqual(cp.violations, []);
    assert.equal((await agent.stop()).code, 0);
  },
};

Deno.test("an agent with tasks stops in good order", () => together(STOPS));
