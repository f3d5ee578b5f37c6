import assert from "node:assert/strict";
import { join } from "@std/path";
import { Fleet } from "./_agent.ts";
import { Desk } from "./_cli.ts";
import { eventually, textOf } from "./_processes.ts";
import { untilThere } from "./_shell.ts";

Deno.test("tasks run side by side, one claim and one writing call of a task at a time", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp } = fleet;
  cp.fault({ path: "/tasks/", latencyMs: () => Math.random() * 30 });
  await using _agent = await fleet.agent();

  // None of them ends before all of them run.
  const go = join(fleet.folder, "go");
  const command = `for i in 1 2 3 4 5 6 7 8; do echo $i; echo $i >&2; sleep 0.1; done; ${
    untilThere(go)
  }`;
  const ids = Array.from({ length: 12 }, () => fleet.shell(command));
  for (const id of ids) await cp.waitForTask(id, ({ logs }) => logs.length > 0);
  await Deno.writeTextFile(go, "");
  for (const id of ids) {
    assert.equal((await fleet.ended(id)).status, "success");
    assert.equal(fleet.lines(id).join(), "1,2,3,4,5,6,7,8");
    assert.equal(fleet.lines(id, "stderr").join(), "1,2,3,4,5,6,7,8");
    assert.equal(cp.maxInFlight(id), 1);
  }
  assert.equal(cp.maxClaimsInFlight(fleet.nodeId), 1);
  assert.deepEqual(cp.violations, []);
});

Deno.test("beyond max_tasks nothing is claimed until a task has ended", async () => {
  await using fleet = await Fleet.start({ max_tasks: 2, task_poll_interval: "500ms" });
  const { controlPlane: cp } = fleet;
  await using _agent = await fleet.agent();
  const go = join(fleet.folder, "go");
  const running = [1, 2].map(() => fleet.shell(`echo up; ${untilThere(go)}`));
  for (const id of running) await cp.waitForTask(id, ({ logs }) => logs.length > 0);
  const next = fleet.shell("echo late");
  const claims = () => cp.requests.filter(({ path }) => path.endsWith("/claim")).length;
  const before = claims();
  // Both are asked about meanwhile: the agent is not asleep.
  const controls = () => cp.requests.filter(({ path }) => path.endsWith("/control")).length;
  const asked = controls();
  await cp.waitFor(() => controls() >= asked + 4, { what: "the tasks to be asked about" });
  assert.equal(claims(), before);
  assert.equal(cp.task(next).status, "queued");
  await Deno.writeTextFile(go, "");
  assert.equal((await fleet.ended(next)).status, "success");
  assert.deepEqual(cp.violations, []);
});

Deno.test("a task that is claimed again while it is being started is run once", async () => {
  await using fleet = await Fleet.start({}, { leaseMs: 300 });
  const { controlPlane: cp } = fleet;
  await using agent = await fleet.agent();
  const file = join(fleet.folder, "runs");

  const lost = cp.fault({ path: "/started", reset: "before" });
  const id = fleet.shell(`echo run >>${file}; sleep 1; echo done`);
  await agent.waitForLog(
    "task was received again while it is running",
    ({ taskId }) => taskId === id,
  );
  // The next claim holds for as long as its start may take.
  cp.options.leaseMs = 60_000;
  lost.remove();
  const { status, transitions } = await fleet.ended(id);
  assert.equal(status, "success");
  assert(transitions.filter(({ status }) => status === "accepted").length > 1, cp.describe(id));
  assert.equal(await textOf(file), "run\n");
  assert.equal(cp.streamText(id, "stdout"), "done");
  assert.equal(cp.maxInFlight(id), 1);
  assert.deepEqual(cp.violations, []);
});

Deno.test("a task that is claimed again while it runs or after its end is not run twice", async () => {
  await using fleet = await Fleet.start();
  await using desk = await Desk.set();
  const { controlPlane: cp } = fleet;
  const file = join(fleet.folder, "runs");
  const go = join(fleet.folder, "go");
  const command = `echo run >>${file}; ${untilThere(go)}; exit 3`;
  const id = fleet.shell(command);
  const again = () =>
    cp.fault({
      path: "/claim",
      times: 1,
      status: 200,
      body: { task: { id, type: "shell.exec", payload: { command } }, outputTruncated: false },
    });
  {
    await using agent = await fleet.agent();
    await cp.waitForTask(id, ["running"]);
    again();
    fleet.shell("true");
    await agent.waitForLog("task was received again while it is running");
    await Deno.writeTextFile(go, "");
    await fleet.ended(id);
    // What it has told it may still be putting away; until then the task counts as running.
    await eventually("an agent without a task", async () => {
      const { stdout } = await desk.says(["status"], { NODERAX_CONFIG_FILE: fleet.configFile });
      return / 0 running, 0 reporting$/m.test(stdout);
    });

    // The control plane has forgotten what became of it, and is told.
    const told = [
      cp.fault({ path: `${id}/started`, status: 200, body: { id, status: "running" } }),
      cp.fault({ path: `${id}/completed`, status: 200, body: { id, status: "failed" } }),
    ];
    again();
    fleet.shell("true");
    await cp.waitFor(() => told.every(({ hits }) => hits === 1), { what: "the answer" });
    await agent.stop();
  }
  // The next agent knows it too.
  const told = cp.fault({ path: `${id}/completed`, status: 200, body: { id, status: "failed" } });
  cp.fault({ path: `${id}/started`, status: 200, body: { id, status: "running" } });
  again();
  await using _agent = await fleet.agent();
  await cp.waitFor(() => told.hits === 1, { what: "the answer of the next agent" });
  const answers = cp.requests.filter(({ path }) => path.endsWith(`${id}/completed`));
  assert.equal(answers.length, 3);
  for (const { body } of answers) {
    assert.partialDeepStrictEqual(body, { status: "failed", exitCode: 3 });
  }
  assert.equal(await textOf(file), "run\n");
  assert.deepEqual(cp.violations, []);
});
