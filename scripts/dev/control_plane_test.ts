import assert from "node:assert/strict";
import { delay } from "@std/async";
import { assertRefused, setUp } from "./_test_node.ts";

Deno.test("a claim is held until there is a task, its time is over or maintenance ends", async () => {
  await using t = await setUp();
  const began = performance.now();
  assert.equal((await t.claim({ waitMs: 50 })).body.task, null);
  assert.ok(performance.now() - began >= 45);
  const held = t.claim({ waitMs: 30_000 });
  await t.cp.waitFor(() => t.cp.heldClaims === 1);
  t.cp.maintenance(t.node.nodeId, true);
  const id = t.cp.queueTask({ type: "shell.exec", payload: {} });
  assert.equal((await t.claim({ waitMs: 0 })).body.task, null);
  t.cp.maintenance(t.node.nodeId, false);
  assert.partialDeepStrictEqual((await held).body.task, { id });
});

Deno.test("a held claim that polls finds the task at its next look", async () => {
  await using t = await setUp({ claimPollMs: 500 });
  const held = t.claim({ waitMs: 30_000 });
  await t.cp.waitFor(() => t.cp.heldClaims === 1);
  const id = t.cp.queueTask({ type: "shell.exec", payload: {} });
  await held;
  const { acceptedAt = 0, createdAt } = t.cp.task(id);
  assert.ok(acceptedAt - createdAt > 5, "not at once");
});

Deno.test("two claims in flight get the same task and are a violation", async () => {
  await using t = await setUp();
  const claims = [t.claim({ waitMs: 30_000 }), t.claim({ waitMs: 30_000 })];
  await t.cp.waitFor(() => t.cp.heldClaims === 2);
  const id = t.cp.queueTask({ type: "shell.exec", payload: {} });
  for (const claim of claims) assert.partialDeepStrictEqual((await claim).body.task, { id });
  assert.deepEqual(t.cp.violations, [
    `node ${t.node.nodeId}: "claim" was sent while "claim" was still in flight`,
  ]);
  assert.equal(t.cp.maxClaimsInFlight(t.node.nodeId), 2);
});

Deno.test("a claim whose caller hung up leases the next task to nobody", async () => {
  await using t = await setUp({ leaseMs: 5_000 });
  const caller = new AbortController();
  const claim = t.claim({ waitMs: 30_000 }, { signal: caller.signal });
  await t.cp.waitFor(() => t.cp.heldClaims === 1);
  caller.abort();
  await assert.rejects(claim);
  await t.cp.waitFor(() => t.cp.requests.at(-1)?.outcome === "gone");
  const id = t.cp.queueTask({ type: "shell.exec", payload: {} });
  assert.match(t.cp.task(id).transitions.at(-1)?.note ?? "", /caller is gone/);
  assert.equal((await t.claim({ waitMs: 0 })).body.task, null);
  assert.partialDeepStrictEqual((await t.claim({ waitMs: 30_000 })).body.task, { id });
  assert.deepEqual(t.cp.violations, []);
});

Deno.test("two writing calls for one task in flight are a violation; control is none", async () => {
  await using t = await setUp();
  const id = await t.running();
  t.cp.fault({ path: "/logs", latencyMs: 3_000 });
  const log = t.task(id, "logs", { stream: "stdout", line: "x" });
  await t.cp.waitFor(() => t.cp.requests.at(-1)?.path.endsWith("/logs"));
  await t.control(id);
  await t.task(id, "completed", { status: "success" });
  await log;
  const overlap = `task ${id}: "completed" was sent while "logs" was still in flight`;
  assert.ok(t.cp.violations.includes(overlap));
  assert.equal(t.cp.maxInFlight(id), 2);
});

Deno.test("faults: status, latency, resets, bad JSON and drip", async () => {
  await using t = await setUp();
  const id = await t.running();
  const log = (line: string) => t.task(id, "logs", { stream: "stdout", line });
  const lines = () => t.cp.streamText(id, "stdout");
  const failing = t.cp.fault({ path: "/logs", status: 503, times: 1, skip: 1 });
  assert.equal((await log("a")).status, 200);
  assertRefused(await log("b"), 503, /injected/);
  assert.equal((await log("c")).status, 200);
  assert.deepEqual([failing.hits, lines()], [1, "a\nc"]);
  const slow = t.cp.fault({ path: /\/logs$/, latencyMs: 30 });
  const began = performance.now();
  await log("d");
  assert.ok(performance.now() - began >= 25);
  slow.remove();
  const before = t.cp.fault({ path: "/logs", reset: "before" });
  await assert.rejects(log("e"));
  before.remove();
  assert.equal(lines(), "a\nc\nd");
  const after = t.cp.fault({
    path: "/logs",
    reset: "after",
    when: (call) => call.method === "POST",
  });
  await assert.rejects(log("f"));
  after.remove();
  assert.match(lines(), /f$/);
  t.cp.fault({ path: "/logs", badJson: true, times: 1 });
  await assert.rejects(log("g"), SyntaxError);
  t.cp.fault({ path: "/logs", drip: { everyMs: 1, bytes: 20 }, times: 1 });
  assert.equal((await log("h")).body.message, "h");
  assert.deepEqual(t.cp.violations, []);
});

Deno.test("a hung call ends with its caller's patience", async () => {
  await using t = await setUp();
  const hung = t.cp.fault({ method: "POST", path: "/claim", hang: true });
  const caller = new AbortController();
  const claim = t.claim({}, { signal: caller.signal });
  await t.cp.waitFor(() => hung.hits === 1);
  caller.abort();
  await assert.rejects(claim);
  await t.cp.waitFor(() => t.cp.requests[0]?.endedAt);
  assert.equal(t.cp.requests[0]?.outcome, "hung");
  t.cp.clearFaults();
  assert.equal((await t.claim()).status, 200);
  assert.deepEqual(t.cp.violations, []);
});

Deno.test("stop resets connections, start listens on the same port with the state kept", async () => {
  await using t = await setUp();
  const { port } = t.cp;
  const id = await t.running();
  const held = t.claim({ waitMs: 30_000 });
  await t.cp.waitFor(() => t.cp.heldClaims === 1);
  const rejected = assert.rejects(held);
  await t.cp.stop();
  await rejected;
  await assert.rejects(t.claim());
  assert.equal(t.cp.heldClaims, 0);
  await t.cp.start();
  assert.equal(t.cp.port, port);
  assert.equal((await t.task(id, "completed", { status: "success" })).status, 200);
});

Deno.test("a port that somebody else has taken meanwhile is waited for", async () => {
  await using t = await setUp();
  const { port } = t.cp;
  await t.cp.stop();
  const other = Deno.listen({ hostname: "127.0.0.1", port });
  const started = t.cp.start();
  await delay(50);
  other.close();
  await started;
  assert.equal((await t.claim()).status, 200);
  assert.equal(t.cp.port, port);
});

Deno.test("an idle keep-alive connection is closed", async () => {
  await using t = await setUp({ keepAliveMs: 1000 });
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: t.cp.port });
  await connection.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  const buffer = new Uint8Array(4096);
  while (await connection.read(buffer) !== null);
});

Deno.test("a wait in vain tells the task's story", async () => {
  await using t = await setUp();
  const id = await t.running();
  await t.task(id, "logs", { stream: "stdout", line: "hello" });
  await assert.rejects(
    t.cp.waitForTask(id, ["success"], 20),
    /waited 20 ms in vain for state success: .* is running.*queued.*stdout: hello.*started -> 200/s,
  );
  await t.task(id, "completed", { status: "failed" });
  await assert.rejects(t.cp.waitForTask(id, ["success"]), /will not come to state success/);
  await t.cp.waitForTask(id, ["running"]);
  await assert.rejects(t.cp.waitFor(() => false, { timeoutMs: 5, what: "rain" }), /for rain$/);
});
