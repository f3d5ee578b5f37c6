import assert from "node:assert/strict";
import * as z from "@zod/zod";
import { join } from "@std/path";
import type { FaultSpec } from "../scripts/dev/control_plane.ts";
import { Fleet } from "./_agent.ts";
import { agentCommand } from "./_command.ts";
import { textOf } from "./_processes.ts";
import { untilThere } from "./_shell.ts";
import { tell, together } from "./_together.ts";

const CALLS = ["/claim", "/accepted", "/started", "/logs", "/control", "/completed", "/heartbeat"];

const QUICK = { task_poll_interval: "500ms", heartbeat_interval: "1s" };

const DEEP = "[".repeat(200_000) + "]".repeat(200_000);

/** What can go wrong with a call, and whether its answer is lost although it was handled. */
const FAULTS: Record<
  string,
  { fault: Omit<FaultSpec, "path">; answerLost?: true }
> = {
  "500": { fault: { status: 500 } },
  "503 that is no JSON": { fault: { status: 503, body: "<html>down</html>" } },
  "429": { fault: { status: 429 } },
  "a reset before": { fault: { reset: "before" } },
  "a reset after": { fault: { reset: "after" }, answerLost: true },
  "no answer": { fault: { hang: true, times: 1 } },
  "an answer that never comes": { fault: { hang: "after", times: 1 }, answerLost: true },
  "an answer that is no JSON": { fault: { badJson: true }, answerLost: true },
  "a gateway's words with status 200": { fault: { status: 200, body: { statusCode: 503 } } },
  "an answer nested 200 000 deep": { fault: { status: 200, body: DEEP } },
  "an answer of one byte a second": {
    fault: { drip: { everyMs: 1_000 }, times: 1 },
    answerLost: true,
  },
  "an empty object": { fault: { status: 200, body: {} } },
  "a page": { fault: { status: 200, body: "<html>sign in</html>" } },
  "a slow answer": { fault: { latencyMs: 600 } },
};

/** A command that notes that it ran, prints 1, waits for the file `go`, and prints on to 12 in 1.1 s. */
function counting(file: string, go: string): string {
  const count = "for i in $(seq 2 12); do echo $i; sleep 0.1; done";
  return `echo run >>${file}; echo 1; ${untilThere(go)}; ${count}`;
}

Deno.test("any call may fail: tasks end right and nothing is lost", async () => {
  const survives = async ({ fault, answerLost }: (typeof FAULTS)[string]) => {
    // A task whose claim has lost its answer comes again soon.
    // Calls that hang cost so much each; with less of it a slow machine might be late with others.
    const config = { ...QUICK, request_timeout: "5s" };
    await using fleet = await Fleet.start(config, answerLost ? { leaseMs: 1_000 } : {});
    const { controlPlane: cp } = fleet;
    const spec = { times: 2, ...fault };
    const faults = CALLS.map((path) => cp.fault({ path, ...spec }));
    await using agent = await fleet.agent();
    const file = join(fleet.folder, "runs");
    const id = fleet.shell(counting(file, file));

    const claims = () => cp.requests.filter(({ path }) => path.endsWith("/claim"));
    await cp.waitFor(() => claims().length > spec.times, { what: "a claim that is heard" });
    cp.options.leaseMs = 60_000;
    const { status, completion } = await fleet.ended(id);
    await fleet.closed(id);
    assert.equal(status, "success", cp.describe(id));
    assert.equal(await textOf(file), "run\n");
    const expected = Array.from({ length: 12 }, (_, i) => String(i + 1));
    assert.deepEqual(completion?.output?.split("\n"), expected);
    const lines = fleet.lines(id);
    assert.deepEqual(answerLost ? [...new Set(lines)] : lines, expected);
    assert(lines.length <= expected.length + 4, `too many lines came twice: ${lines.join()}`);
    await cp.waitFor(() => faults.every(({ hits }) => hits > 0), {
      what: () => CALLS.map((call, i) => `${call}: ${faults[i]?.hits}`).join(),
    });
    assert.equal(cp.maxInFlight(id), 1);
    assert.deepEqual(cp.violations, []);
    assert.equal((await agent.stop()).code, 0);
  };
  const cases = Object.entries(FAULTS).map(([name, it]) => [name, () => survives(it)] as const);
  await together(Object.fromEntries(cases));
});

Deno.test("what answers in the control plane's place is not believed, and told", async () => {
  await using fleet = await Fleet.start(QUICK);
  const { controlPlane: cp } = fleet;
  await using agent = await fleet.agent();
  const go = join(fleet.folder, "go");
  const id = fleet.shell(counting(join(fleet.folder, "runs"), go));
  await cp.waitForTask(id, (task) => task.logs.length > 0);
  const body = { statusCode: 503, message: "upstream is down" };
  const gateway = cp.fault({ path: "/api/v1/", status: 200, body });
  await Deno.writeTextFile(go, "");
  await agent.waitForLog("control plane call failed");
  const why = () => agent.events.map((event) => JSON.stringify(event)).join("\n");
  await cp.waitFor(() => gateway.hits > 8, { what: () => `${gateway.hits} hits` });
  assert.match(why(), /the answer is not the control plane's/);
  const status = agentCommand(["status"], { env: { NODERAX_CONFIG_FILE: fleet.configFile } });
  const shown = new TextDecoder().decode((await status.output()).stdout);
  assert.match(shown, /is degraded .*what answers at api_url is not the control plane/);
  assert.match(shown, /the answer is not the control plane's/);
  gateway.remove();
  assert.equal((await fleet.ended(id)).status, "success", cp.describe(id));
  assert.deepEqual(fleet.lines(id), Array.from({ length: 12 }, (_, i) => String(i + 1)));
  assert.deepEqual(cp.violations, []);
  assert.equal((await agent.stop()).code, 0);
});

Deno.test("a call that is asked to wait is not made before", async () => {
  await using fleet = await Fleet.start(QUICK);
  const { controlPlane: cp } = fleet;
  await using agent = await fleet.agent();
  const waits = async (path: string, status: number) => {
    await cp.waitFor(() => cp.requests.filter((each) => each.path.includes(path)).length > 1, {
      what: `${path} again`,
    });
    const [refused, again] = cp.requests.filter((each) => each.path.includes(path));
    assert.equal(refused?.status, status);
    const pauseMs = (again?.at ?? 0) - (refused?.endedAt ?? Infinity);
    tell(`${path}, ${status}: again after ${pauseMs.toFixed()} ms`);
    assert(pauseMs > 1_990, `${path}: ${pauseMs} ms`);
  };
  const headers = { "retry-after": "2" };
  const id = fleet.shell("true");
  cp.fault({ path: `${id}/started`, times: 1, status: 503, headers });
  cp.fault({ path: `${id}/completed`, times: 1, status: 429, headers });
  await fleet.ended(id);
  await waits(`${id}/started`, 503);
  await waits(`${id}/completed`, 429);
  assert.equal((await agent.stop()).code, 0);
});

/** As the control plane words a refusal; anything else may come from a filter before it. */
function ownRefusal(statusCode: number, message: string): Record<string, unknown> {
  return { statusCode, path: "/api/v1/agent", timestamp: new Date().toISOString(), message };
}

Deno.test("an entry that the control plane refuses is left out, and a word stands in its place", async () => {
  await using fleet = await Fleet.start(QUICK);
  const { controlPlane: cp } = fleet;
  await using _agent = await fleet.agent();
  const marked = ({ body }: { body: unknown }) => JSON.stringify(body).includes("/etc/passwd");
  for (const status of [400, 403]) {
    const fault = cp.fault({ path: "/logs", when: marked, status, body: ownRefusal(status, "no") });
    const go = join(fleet.folder, `go${status}`);
    const id = fleet.shell(`echo before; echo cat /etc/passwd; ${untilThere(go)}; echo after`);
    await cp.waitFor(() => fault.hits > 0, { what: "the refusal" });
    await Deno.writeTextFile(go, "");
    const { status: end, logs } = await fleet.ended(id);
    assert.equal(end, "success");
    const by = `refused by the control plane (HTTP status ${status})`;
    const lines = logs.map(({ stream, line }) => `${stream}: ${line}`);
    assert.deepEqual(lines, [
      "stdout: before",
      `system: [… a line was left out: ${by} …]`,
      "stdout: after",
    ]);
    assert.equal(fault.hits, 1);
    fault.remove();
  }
  assert.deepEqual(cp.violations, []);
});

Deno.test("a call that is refused for good is not made again", async () => {
  await using fleet = await Fleet.start(QUICK);
  const { controlPlane: cp } = fleet;
  await using agent = await fleet.agent();

  const refused = (call: string, status: number, message: string, times = Infinity) => {
    const id = fleet.shell(`echo run >>${fleet.folder}/$AGENT_TASK_ID; seq 5`);
    const fault = cp.fault({
      path: `${id}/${call}`,
      times,
      status,
      body: ownRefusal(status, message),
    });
    return { id, fault, runs: () => textOf(join(fleet.folder, id)) };
  };
  const logged = (msg: string, id: string) => agent.waitForLog(msg, ({ taskId }) => taskId === id);
  await together({
    "started": async () => {
      const { id, fault, runs } = refused("started", 404, "no such task");
      await logged("task is not run", id);
      await fleet.closed(id);
      assert.equal(fault.hits, 1);
      assert.equal(await runs(), "");
    },
    "started, for the queue was not left yet": async () => {
      const message = "Task is in queued state and cannot be started";
      const { id, fault, runs } = refused("started", 409, message, 3);
      assert.equal((await fleet.ended(id)).status, "success");
      assert.equal(fault.hits, 3);
      assert.equal(await runs(), "run\n");
    },
    "logs": async () => {
      const { id, fault } = refused("logs", 400, "line is not liked");
      const task = await fleet.ended(id);
      assert.equal(task.status, "success");
      assert.equal(task.completion?.output, "1\n2\n3\n4\n5");
      assert(fault.hits <= 6, "each line, and a word about the first");
      const { error } = await logged("log lines are refused and left out", id);
      assert.equal(error, "line is not liked");
    },
    "completed": async () => {
      const { id, fault } = refused("completed", 400, "output is not liked");
      await logged("control plane refuses the end of the task", id);
      await fleet.closed(id);
      assert.equal(fault.hits, 1);
    },
  });
  assert.deepEqual(cp.violations, []);
});

/** How long after the first answer that comes after an outage all flows that has waited, in milliseconds. */
async function flowsAgainMs(): Promise<number> {
  await using fleet = await Fleet.start({ ...QUICK, task_poll_interval: "5s" });
  const { controlPlane: cp } = fleet;
  await using _agent = await fleet.agent();
  const go = join(fleet.folder, "go");
  const begun = [1, 2, 3].map(() =>
    fleet.shell(`echo begun; ${untilThere(go)}; echo late; ${untilThere(`${go}-on`)}`)
  );
  const done = [1, 2, 3].map(() => fleet.shell(`echo begun; ${untilThere(go)}`));
  for (const id of [...begun, ...done]) await cp.waitForTask(id, ({ logs }) => logs.length > 0);
  // It is there, and yet it serves nothing: that shows how often it is asked.
  const outage = cp.fault({ path: "/agent/", status: 503 });
  await Deno.writeTextFile(go, "");
  const calls = [...begun.map((id) => `${id}/logs`), ...done.map((id) => `${id}/completed`)];
  const asked = (call: string) => cp.requests.filter(({ path }) => path.includes(call));
  // From 250 ms on the pauses double, and by now they are 4 s long and more.
  await cp.waitFor(() => calls.every((call) => asked(call).length >= 6), {
    what: "long pauses",
  });
  const waiting = calls.map((path) => cp.fault({ path, status: 503, times: 2 }));
  const later = fleet.shell("echo new");
  const before = cp.requests.length;
  outage.remove();
  await cp.waitFor(() => cp.requests.slice(before).some(({ status }) => status === 200), {
    what: "the first answer",
  });
  const startMs = performance.now();
  await Promise.all([...done, later].map((id) => fleet.ended(id)));
  for (const id of begun) await cp.waitForTask(id, ({ logs }) => logs.length > 1);
  const tookMs = performance.now() - startMs;
  assert(waiting.every(({ hits }) => hits === 2));
  await Deno.writeTextFile(`${go}-on`, "");
  await Promise.all(begun.map((id) => fleet.ended(id)));
  assert.deepEqual(cp.violations, []);
  return tookMs;
}

const OUTAGES = {
  "a node that is not let in goes on asking, ever more seldom, and says so once": async () => {
    await using fleet = await Fleet.start(QUICK);
    const { controlPlane: cp } = fleet;
    const revoked = cp.fault({
      path: "/agent/",
      status: 401,
      body: { message: "Invalid agent credentials" },
    });
    await using agent = await fleet.agent();
    const claims = () => cp.requests.filter(({ path }) => path.endsWith("/claim"));
    await cp.waitFor(() => claims().length === 3, { what: "the third claim" });
    const [first = 0, second = 0, third = 0] = claims().map(({ at }) => at);
    assert(second - first > 600 && third - second > 1_200);

    revoked.remove();
    const id = fleet.shell("echo back");
    const { status } = await fleet.ended(id);
    assert.equal(status, "success");
    const complaints = agent.logged("control plane refuses this node's credentials");
    assert.deepEqual(complaints.map(({ level }) => level), ["error"]);
    await agent.waitForLog("control plane call succeeds again", ({ call }) => call === "claim");
  },

  "tasks go on while the control plane is away": async () => {
    await using fleet = await Fleet.start(QUICK);
    const { controlPlane: cp } = fleet;
    await using agent = await fleet.agent();
    const file = join(fleet.folder, "runs");
    const go = join(fleet.folder, "go");
    const id = fleet.shell(counting(file, go));
    await cp.waitForTask(id, ({ logs }) => logs.length > 0);
    await cp.stop();
    await Deno.writeTextFile(go, "");
    await agent.waitForLog("report is tried again");
    await cp.start();
    const { status, completion } = await fleet.ended(id);
    assert.equal(status, "success");
    const expected = Array.from({ length: 12 }, (_, i) => String(i + 1));
    assert.deepEqual(completion?.output?.split("\n"), expected);
    assert.deepEqual([...new Set(fleet.lines(id))], expected);
    assert.equal(await textOf(file), "run\n");
    await fleet.ended(fleet.shell("true"));
    assert(
      agent.logged("control plane call failed").length <= 2,
      "it says so once for each call",
    );
    assert.deepEqual(cp.violations, []);
  },

  "after an outage with a few more faults all that waits flows within 5 s of the first answer":
    async () => {
      // What stood still for a moment, and not the agent's pauses, may be met once.
      let tookMs = Infinity;
      for (let tries = 0; tries < 3 && tookMs >= 5_000; tries++) tookMs = await flowsAgainMs();
      tell(`after an outage all flows again after ${tookMs.toFixed()} ms`);
      assert(tookMs < 5_000, `${tookMs} ms`);
    },

  "a control plane that does not hold claims is not hammered": async () => {
    await using fleet = await Fleet.start({ task_poll_interval: "4s" });
    const { controlPlane: cp } = fleet;
    const fault = cp.fault({ path: "/claim", status: 200, body: { task: null } });
    await using _agent = await fleet.agent();
    await cp.waitFor(() => fault.hits >= 5, { what: "the fifth claim" });
    const times = cp.requests.filter(({ path }) => path.endsWith("/claim")).map(({ at }) => at);
    const tookMs = (times[4] ?? NaN) - (times[0] ?? NaN);
    // The pauses are 250, 500 and 1000 ms long, after a first claim that may ask to be held so shortly
    // that its answer has been held. A busy machine may see the first of them late, but not by so much.
    assert(tookMs > 1_000, `5 claims in ${tookMs} ms`);
    fault.remove();
    assert.equal((await fleet.ended(fleet.shell("true"))).status, "success");
  },

  "a claim that hangs ends by its limit, which lies beyond its wait": async () => {
    await using fleet = await Fleet.start({ request_timeout: "8s", task_poll_interval: "4s" });
    const { controlPlane: cp } = fleet;
    const fault = cp.fault({ path: "/claim", times: 1, hang: true });
    await using agent = await fleet.agent();
    const id = fleet.shell("true");
    await fleet.ended(id);
    assert.equal(fault.hits, 1);
    const { error } = await agent.waitForLog("control plane call failed");
    const [hung] = cp.requests.filter(({ path }) => path.endsWith("/claim"));
    const { waitMs } = z.object({ waitMs: z.number().max(4_000) }).parse(hung?.body);
    assert.equal(error, `POST /agent/tasks/claim: no answer within ${(8_000 + waitMs) / 1_000} s`);
    const tookMs = (hung?.endedAt ?? NaN) - (hung?.at ?? NaN);
    assert(tookMs > waitMs, `it was held for ${tookMs} ms`);
  },
};

Deno.test("the agent waits for a control plane that it cannot use", () => together(OUTAGES));
