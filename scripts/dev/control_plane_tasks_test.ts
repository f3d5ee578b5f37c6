import assert from "node:assert/strict";
import { delay } from "@std/async";
import { assertRefused, type Json, setUp } from "./_test_node.ts";

Deno.test("a task lives from queued to success and its result is made from the call", async () => {
  await using t = await setUp();
  const id = t.cp.queueTask({
    type: "shell.exec",
    payload: { command: "true" },
    timeoutSeconds: 7,
    novelty: 1,
  });
  const { body: { task, outputTruncated, rootAccess } } = await t.claim();
  assert.partialDeepStrictEqual(task, {
    id,
    nodeId: t.node.nodeId,
    type: "shell.exec",
    payload: { command: "true" },
    status: "accepted",
    timeoutSeconds: 7,
    novelty: 1,
  });
  assert.deepEqual([outputTruncated, rootAccess], [false, null]);
  assert.deepEqual((await t.task(id, "accepted", { taskId: id })).body, {
    ok: true,
    duplicate: true,
    taskId: id,
  });
  assert.equal((await t.task(id, "started")).body.status, "running");
  assert.equal((await t.task(id, "started")).status, 200);
  const timestamp = "2026-03-22T16:47:33.000Z";
  await t.task(id, "logs", { stream: "stdout", line: "one\ntwo", timestamp });
  await t.task(id, "logs", { stream: "system", line: "three" });
  const done = { status: "success", exitCode: 0, durationMs: 12, output: "two" };
  assert.equal((await t.task(id, "completed", done)).status, 200);
  const ended = await t.cp.waitForTask(id, ["success"]);
  assert.deepEqual(ended.transitions.map(({ status }) => status), [
    "queued",
    "accepted",
    "running",
    "success",
  ]);
  assert.partialDeepStrictEqual(ended.result, { exitCode: 0, durationMs: 12 });
  assert.equal(ended.output, "two");
  assert.equal(ended.logs[0]?.timestamp, timestamp);
  assert.equal(t.cp.operatorLog(id), "one\ntwo\nthree");
  assert.equal(t.cp.streamText(id, "system"), "three");
  assert.equal(t.cp.maxInFlight(id), 1);
  assert.deepEqual(t.cp.violations, []);
});

Deno.test("an unknown property, a wrong type or no JSON refuses the whole request", async () => {
  await using t = await setUp();
  const id = await t.running();
  const extra = await t.task(id, "logs", { stream: "stdout", line: "x", colour: "red" });
  assertRefused(extra, 400, /property colour should not exist/);
  assert.deepEqual(extra.body.errors, ["property colour should not exist"]);
  assert.equal(t.cp.task(id).logs.length, 0);
  const refused: [string, Json | string][] = [
    [`${id}/logs`, { stream: "stdout" }],
    [`${id}/logs`, { stream: "", line: "x" }],
    [`${id}/logs`, { stream: "s".repeat(51), line: "x" }],
    [`${id}/logs`, { stream: "stdout", line: "" }],
    [`${id}/logs`, { stream: "stdout", line: "💡".repeat(5001) }],
    [`${id}/logs`, { stream: "stdout", line: "x", timestamp: "yesterday" }],
    [`${id}/logs`, { stream: "stdout", line: "x", taskId: crypto.randomUUID() }],
    [`${id}/logs`, "{no json"],
    [`${id}/started`, { at: 1 }],
    [`${id}/completed`, { status: "done" }],
    [`${id}/completed`, { status: "success", durationMs: 1.5 }],
    [`${id}/completed`, { status: "success", exitCode: 0.5 }],
    [`${id}/completed`, { status: "success", output: "x".repeat(200_001) }],
    [`${id}/completed`, { status: "failed", error: "x".repeat(10_001) }],
    [`${id}/completed`, { status: "success", result: "text" }],
    ["no-uuid/started", {}],
    ["claim", { maxTasks: 2 }],
    ["claim", { waitMs: 30_001 }],
    ["claim", { rootAccess: { appliedProfile: "some" } }],
  ];
  for (const [route, body] of refused) assertRefused(await t.post(`tasks/${route}`, body), 400);
  assert.equal(t.cp.violations.length, refused.length + 1);
  assert.equal(t.cp.task(id).status, "running");
  const wide = await t.task(id, "logs", { stream: "stdout", line: "💡".repeat(5000) });
  assert.equal(wide.status, 200);
});

Deno.test("text that the database cannot store is a 500", async () => {
  await using t = await setUp();
  const id = await t.running();
  const unstorable: [string, Json | string][] = [
    ["logs", { stream: "stdout", line: "a\0b" }],
    ["logs", String.raw`{"stream": "stdout", "line": "\ud83d"}`],
    ["completed", { status: "failed", error: "\0" }],
    ["completed", { status: "success", output: "x".repeat(9000) + "\0" }],
    ["completed", { status: "success", output: "x".repeat(7999) + "💡" }],
    ["completed", { status: "success", result: { packages: [{ name: "\udc00" }] } }],
    ["completed", String.raw`{"status": "failed", "error": null}`],
  ];
  for (const [name, body] of unstorable) {
    assertRefused(await t.task(id, name, body), 500, /^Internal server error$/);
  }
  assert.ok(t.cp.violations.some((text) => text.includes("splits a surrogate pair")));
  assert.equal(t.cp.task(id).status, "running");
  assert.equal(t.cp.task(id).logs.length, 0);
});

Deno.test("of an output the first 8000 units are kept, and a result drops the rest", async () => {
  await using t = await setUp();
  const id = await t.running();
  const output = "x".repeat(7998) + "💡" + "y".repeat(100);
  const result = { packages: [] };
  await t.task(id, "completed", { status: "success", output, result, exitCode: 0 });
  const task = t.cp.task(id);
  assert.equal(task.output, "x".repeat(7998) + "💡");
  assert.equal(task.outputTruncated, true);
  assert.deepEqual(task.result, result);
  assert.deepEqual(t.cp.violations, [
    `task ${id}: "completed" has a result, which drops exitCode`,
  ]);
});

Deno.test("logs are taken while a task runs, and at no other time", async () => {
  await using t = await setUp();
  const id = t.cp.queueTask({ type: "shell.exec", payload: {} });
  const log = () => t.task(id, "logs", { stream: "stdout", line: "x" });
  assertRefused(await log(), 409, /queued state/);
  await t.claim();
  assertRefused(await log(), 409, /accepted state/);
  await t.task(id, "started");
  assert.equal((await log()).status, 200);
  await t.task(id, "completed", { status: "success" });
  assertRefused(await log(), 409, /success state/);
  assert.equal(t.cp.violations.length, 3);
});

Deno.test("a completion counts from running; again: 200, as another: 409", async () => {
  await using t = await setUp();
  const complete = (id: string, status: string) => t.task(id, "completed", { status });
  const early = t.cp.queueTask({ type: "shell.exec", payload: {} });
  await t.claim();
  assertRefused(await complete(early, "success"), 409, /accepted state/);
  for (
    const [sent, stored] of [
      ["success", "success"],
      ["failed", "failed"],
      ["cancelled", "cancelled"],
      ["canceled", "cancelled"],
      ["timeout", "failed"],
    ] as const
  ) {
    const id = await t.running();
    assert.equal((await complete(id, sent)).body.status, stored);
    assert.equal((await complete(id, sent)).status, 200);
    assertRefused(await complete(id, stored === "failed" ? "success" : "failed"), 409);
    assert.equal(t.cp.task(id).reason, sent === "timeout" ? "timeout" : undefined);
  }
});

Deno.test("a lease that runs out queues the task again", async () => {
  await using t = await setUp({ leaseMs: 30 });
  const id = t.cp.queueTask({ type: "shell.exec", payload: {} });
  assertRefused(await t.task(id, "started"), 409, /queued state/);
  await t.claim();
  await t.cp.waitForTask(id, (task) => task.status === "queued");
  assertRefused(await t.task(id, "started"), 409, /^lease expired before started transition$/);
  t.cp.options.leaseMs = 4_000;
  const again = t.claim({ waitMs: 30_000 });
  assert.partialDeepStrictEqual((await again).body.task, { id });
  assert.equal((await t.task(id, "started")).status, 200);
  await delay(4_100);
  assert.equal(t.cp.task(id).status, "running");
  t.cp.endLease(id);
  assert.equal(t.cp.task(id).status, "running", "it has none any more");
  assert.deepEqual(t.cp.violations, []);
});

Deno.test("tasks that are queued or run for too long are failed by the server", async () => {
  await using t = await setUp({ queueTimeoutMs: 20, runningTimeoutMs: 60 });
  const queued = t.cp.queueTask({ type: "shell.exec", payload: {} });
  await t.cp.waitForTask(queued, ["failed"]);
  t.cp.options.queueTimeoutMs = 60_000;
  const id = await t.running();
  await t.cp.waitForTask(id, ["failed"]);
  assert.equal((await t.control(id)).status, "failed");
  assertRefused(await t.task(id, "logs", { stream: "stdout", line: "x" }), 409);
  assertRefused(await t.task(id, "completed", { status: "success" }), 409);
  assert.deepEqual(t.cp.violations, [], "the agent could not have known");
  t.cp.options.runningTimeoutMs = 60_000;
  const late = t.cp.queueTask({ type: "shell.exec", payload: {} });
  await t.claim();
  await t.task(late, "started", { timestamp: "2020-01-01T00:00:00Z" });
  await t.cp.waitForTask(late, ["failed"]);
  assert.deepEqual(t.cp.violations, [`task ${late}: "started" carried a timestamp`]);
});

Deno.test("cancelling asks a running task's agent and ends other tasks at once", async () => {
  await using t = await setUp();
  const id = await t.running();
  assert.deepEqual(await t.control(id), {
    taskId: id,
    status: "running",
    cancelRequested: false,
    cancelRequestedAt: null,
    cancelReason: null,
  });
  t.cp.cancelTask(id, "enough");
  assert.partialDeepStrictEqual(await t.control(id), {
    status: "running",
    cancelRequested: true,
    cancelReason: "enough",
  });
  await t.task(id, "completed", { status: "cancelled" });
  assert.equal((await t.control(id)).cancelRequested, false);
  const early = t.cp.queueTask({ type: "shell.exec", payload: {} });
  await t.claim();
  t.cp.cancelTask(early);
  assert.partialDeepStrictEqual(await t.control(early), {
    status: "cancelled",
    cancelRequested: false,
  });
  assertRefused(await t.task(early, "started"), 409, /cancelled state/);
  assert.deepEqual(t.cp.violations, []);
});

Deno.test("nulls instead of omissions are a violation", async () => {
  await using t = await setUp();
  const id = await t.running();
  const body = { status: "failed", error: null, output: "x" };
  assert.equal((await t.task(id, "completed", body)).status, 200);
  assert.match(t.cp.violations[0] ?? "", /"error" is null instead of left out/);
});
