import assert from "node:assert/strict";
import { assertRefused, type Json, request, setUp } from "./_test_node.ts";

Deno.test("calls without or with wrong credentials are refused with 401", async () => {
  await using t = await setUp();
  const bare = await request(t.cp, "POST", "/agent/tasks/claim", {});
  assertRefused(
    bare,
    401,
    /^x-agent-node-id and Authorization: Bearer <agent-token> are required$/,
  );
  assert.deepEqual(Object.keys(bare.body), [
    "statusCode",
    "path",
    "timestamp",
    "message",
    "error",
  ]);
  assert.equal(bare.body.path, "/api/v1/agent/tasks/claim");
  const headers = { authorization: "Bearer no", "x-agent-node-id": t.node.nodeId };
  const wrong = await t.claim({}, { headers });
  assertRefused(wrong, 401, /^Invalid agent credentials$/);
  t.cp.deleteNode(t.node.nodeId);
  assertRefused(await t.claim(), 401, /^Invalid agent credentials$/);
});

Deno.test("a heartbeat makes a node online and fills its versions", async () => {
  await using t = await setUp({ offlineAfterMs: 40 });
  const { nodeId } = t.node;
  const online = () => t.cp.node(nodeId).status === "online";
  await t.claim();
  assert.equal(online(), false, "claims do not count");
  const beat = await t.post("heartbeat", { ...t.node, agentVersion: "2.0.0" });
  assert.partialDeepStrictEqual(beat.body, { acknowledged: true, nodeId, status: "online" });
  assert.equal(t.cp.node(nodeId).agentVersion, "2.0.0");
  await t.cp.waitFor(() => !online());
  assertRefused(await t.post("heartbeat", { ...t.node, hostname: "x" }), 400);
  assertRefused(await t.post("heartbeat", { ...t.node, agentVersion: "v".repeat(65) }), 500);
  assertRefused(await t.post("heartbeat", { ...t.node, agentToken: "t".repeat(64) }), 401);
});

Deno.test("more than 100 heartbeats a minute are refused with 429, claims are not", async () => {
  await using t = await setUp();
  for (let i = 0; i < 100; i++) assert.equal((await t.post("heartbeat", t.node)).status, 200);
  assertRefused(await t.post("heartbeat", t.node), 429);
  assert.equal((await t.claim()).status, 200);
  t.cp.options.rateLimits = false;
  assert.equal((await t.post("heartbeat", t.node)).status, 200);
});

Deno.test("enrollments are pending, approved, revoked, rejected or expired", async () => {
  await using t = await setUp();
  const { cp } = t;
  const initiate = async () => {
    const body = { email: "Dev@Example.com", hostname: "SRV", additionalInfo: { os: "debian" } };
    const answer = await request(cp, "POST", "/enrollments/initiate", body);
    assert.equal(answer.status, 201);
    const leftMs = Date.parse(String(answer.body.expiresAt)) - Date.now();
    assert.ok(leftMs > 890_000 && leftMs <= 900_000);
    return String(answer.body.token);
  };
  const status = async (token: string) => (await request(cp, "GET", `/enrollments/${token}`)).body;
  const first = await initiate();
  assert.deepEqual(await status(first), { status: "pending" });
  const second = await initiate();
  assert.deepEqual(await status(first), { status: "revoked" }, "the same pair again");
  const other = cp.addNode({ hostname: "Srv" });
  assert.throws(() => cp.approve(second), /hostname already exists/);
  assert.deepEqual(await status(second), { status: "pending" });
  cp.deleteNode(other.nodeId);
  const credentials = cp.approve(second);
  assert.deepEqual(await status(second), { status: "approved", ...credentials });
  assert.deepEqual(await status(second), { status: "approved", ...credentials });
  assert.partialDeepStrictEqual(cp.enrollments[1], { email: "dev@example.com", hostname: "srv" });
  cp.deleteNode(credentials.nodeId);
  cp.reject(await initiate());
  cp.expire(await initiate());
  assert.deepEqual(cp.enrollments.slice(2).map((one) => one.status), ["rejected", "expired"]);
  assert.equal((await request(cp, "GET", "/enrollments/unknown")).status, 404);
  const bad = await request(cp, "POST", "/enrollments/initiate", { email: "x", hostname: "srv" });
  assertRefused(bad, 400, /^email/);
  cp.options.autoApprove = true;
  assert.equal((await status(await initiate())).status, "approved");
  cp.options.autoApprove = false;
  cp.options.enrollmentTtlMs = -1;
  const body = { email: "a@example.com", hostname: "srv" };
  const late = await request(cp, "POST", "/enrollments/initiate", body);
  assert.deepEqual(await status(String(late.body.token)), { status: "expired" });
});

Deno.test("an installation token is used up once and reports its progress", async () => {
  await using t = await setUp();
  const token = t.cp.addInstall();
  const post = (name: string, body: Json) =>
    request(t.cp, "POST", `/node-installs/${name}`, { token, ...body });
  const progress = await post("progress", { stage: "installer_started", progressPercent: 5 });
  assert.partialDeepStrictEqual(progress, { status: 200, body: { status: "installing" } });
  assertRefused(await post("progress", { stage: "x", progressPercent: 101 }), 400);
  assertRefused(await post("consume", { hostname: "srv", os: "debian" }), 400);
  const consumed = await post("consume", { hostname: "srv", additionalInfo: { arch: "amd64" } });
  assert.equal(consumed.status, 201);
  assert.equal(t.cp.node(String(consumed.body.nodeId)).hostname, "srv");
  assert.equal((await post("consume", { hostname: "srv" })).status, 410);
  assert.equal((await post("consume", { hostname: "srv", token: "unknown-token" })).status, 404);
});

Deno.test("a root access profile comes with each claim, and the applied one is noted", async () => {
  await using t = await setUp();
  t.cp.setRootAccess(t.node.nodeId, "task");
  const applied = { appliedProfile: "off", lastError: null };
  const answer = await t.claim({ waitMs: 0, capabilities: ["apt"], rootAccess: applied });
  assert.partialDeepStrictEqual(answer.body.rootAccess, { profile: "task" });
  assert.deepEqual(t.cp.node(t.node.nodeId).appliedRootAccess, applied);
});

Deno.test("unknown routes and tasks of other nodes are 404", async () => {
  await using t = await setUp();
  assertRefused(await t.post("nothing"), 404, /^Cannot POST \/api\/v1\/agent\/nothing$/);
  const other = t.cp.addNode();
  const id = t.cp.queueTask({ type: "shell.exec", payload: {}, nodeId: other.nodeId });
  assertRefused(await t.task(id, "started"), 404);
});
