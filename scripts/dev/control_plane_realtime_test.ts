import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { setUpRealtime } from "./_test_socket.ts";

const percentages = { cpuUsage: 1, memoryUsage: 2.5, diskUsage: 100 };

Deno.test("the polling handshake answers a sid, and polling goes no further", async () => {
  await using t = await setUpRealtime();
  const url = `${t.cp.url}/socket.io/?EIO=4&transport=polling`;
  const answer = await (await fetch(url)).text();
  assert.match(answer, /^0\{"sid":"/);
  assert.deepEqual(t.cp.violations, []);
  const further = await fetch(`${url}&sid=${JSON.parse(answer.slice(1)).sid}`);
  await further.body?.cancel();
  assert.equal(further.status, 400);
  assert.match(t.cp.violations.join(), /first handshake only/);
});

Deno.test("authentication is answered by event and acknowledgement; a node comes online", async () => {
  await using t = await setUpRealtime();
  const { nodeId, agentToken } = t.node;
  t.cp.setRootAccess(nodeId, "task");
  const socket = await t.connect();
  assert.equal(t.cp.node(nodeId).status, "offline");
  const versions = { agentVersion: "2", platformVersion: "12", kernelVersion: "6" };
  const ack = await socket.send("agent.auth", { nodeId, agentToken, ...versions });
  assert.partialDeepStrictEqual(ack, { ok: true, authenticated: true, nodeId });
  assert.partialDeepStrictEqual(socket.got("agent.auth.ack"), [{
    authenticated: true,
    nodeId,
    rootAccess: { profile: "task" },
  }]);
  assert.partialDeepStrictEqual(t.cp.node(nodeId), { status: "online", ...versions });
  assert.deepEqual(t.cp.realtime.sockets.map((it) => it.nodeId), [nodeId]);
  t.cp.setRootAccess(nodeId, "all");
  await t.until(() => socket.got("root-access.updated").length === 1);
  assert.ok(!JSON.stringify(t.cp.realtime.events).includes(agentToken));
  assert.deepEqual(t.cp.violations, []);
  await socket.send("agent.auth", { nodeId, agentToken, agentVersion: "3" });
  assert.equal(t.cp.node(nodeId).kernelVersion, undefined);
  assert.match(t.cp.violations.join(), /the others are lost/);
  await socket[Symbol.asyncDispose]();
  await t.cp.waitFor(() => t.cp.node(nodeId).status === "offline");
});

Deno.test("wrong credentials, or a refusal set for all, end the socket without an acknowledgement", async () => {
  await using t = await setUpRealtime();
  const { nodeId, agentToken } = t.node;
  for (const refuseAuth of [null, "not today"]) {
    t.cp.options.refuseAuth = refuseAuth;
    const socket = await t.connect();
    const token = refuseAuth ? agentToken : "wrong";
    await assert.rejects(socket.send("agent.auth", { nodeId, agentToken: token }));
    const message = refuseAuth ?? "Invalid agent credentials";
    assert.deepEqual(socket.got("agent.auth.error"), [{ message }]);
    assert.equal(socket.closed, "io server disconnect");
  }
  assert.deepEqual(t.cp.violations, []);
});

Deno.test("an event before authentication ends the socket, also while it is under way", async () => {
  await using t = await setUpRealtime();
  const early = await t.connect();
  await assert.rejects(early.send("agent.ping", { timestamp: new Date().toISOString() }));
  assert.equal(early.closed, "io server disconnect");
  const eager = await t.connect();
  eager.socket.emit("agent.auth", { type: "agent.auth", ...t.node });
  eager.socket.emit("agent.ping", { type: "agent.ping", timestamp: new Date().toISOString() });
  await t.until(() => eager.closed !== undefined);
  assert.deepEqual(t.cp.violations.length, 2);
  assert.match(t.cp.violations.join(), /"agent.ping" was refused: .*not authenticated/);
});

Deno.test("refusals: unknown events, further properties, wrong values", async () => {
  await using t = await setUpRealtime();
  const agent = await t.agent();
  const refused = async (event: string, payload: Record<string, unknown>, message: RegExp) => {
    const answer = await agent.send(event, payload);
    assert.partialDeepStrictEqual(answer, { ok: false, eventType: event });
    assert.match(String(answer.message), message);
    const error = agent.got("agent.error").at(-1);
    assert.partialDeepStrictEqual(error, { eventType: event, message: answer.message });
    assert.match(t.cp.violations.at(-1) ?? "", message);
  };
  const timestamp = new Date().toISOString();
  await refused("agent.dance", {}, /no event agent.dance/);
  assert.equal(agent.got("agent.error").at(-1)?.code, "UNKNOWN_EVENT");
  await refused("agent.ping", { timestamp, nodeId: "x" }, /nodeId should not exist/);
  await refused("agent.ping", {}, /timestamp/);
  const located = { ...t.node, location: {} };
  assert.equal((await agent.send("agent.auth", located)).ok, false, "it could not know");
  await refused("agent.auth", located, /location should not exist/);
  await refused("agent.metrics", { ...t.node, ...percentages, cpuUsage: 100.1 }, /cpuUsage/);
  await refused("agent.metrics", { ...t.node, ...percentages, load: 1 }, /load should not exist/);
  await refused("agent.metrics", { ...t.node, ...percentages, agentToken: "x" }, /credentials/);
  assert.deepEqual(t.cp.realtime.metrics(), []);
});

Deno.test("snapshots are kept; what is nested is stored, wrong or not", async () => {
  await using t = await setUpRealtime();
  const agent = await t.agent();
  const counters = { bytesSent: 1, bytesRecv: 2, packetsSent: 3, packetsRecv: 4 };
  const errors = { errorsIn: 0, errorsOut: 0, dropIn: 0, dropOut: 0 };
  const sizes = { totalBytes: 10, usedBytes: 4, freeBytes: 6, usedPercent: 40 };
  const snapshot = {
    ...t.node,
    ...percentages,
    collectedAt: new Date().toISOString(),
    temperature: 41.5,
    networkStats: { ...errors, interfaces: [{ interface: "eth0", ...counters, ...errors }] },
    cpu: { usagePercent: 1 },
    memory: { ...sizes, availableBytes: 6 },
    disk: { path: "/", ...sizes },
  };
  assert.equal((await agent.send("agent.metrics", snapshot)).ok, true);
  assert.deepEqual(t.cp.violations, []);
  assert.partialDeepStrictEqual(t.cp.realtime.metrics(), [{ temperature: 41.5 }]);
  const wrong = { ...snapshot, cpu: { usagePercent: 101 }, networkStats: { rxBytes: 1 } };
  assert.equal((await agent.send("agent.metrics", wrong)).ok, true);
  assert.match(t.cp.violations.join(), /wrong networkStats.*wrong cpu.usagePercent/s);
  const networks = snapshot.networkStats.interfaces;
  assert.equal((await agent.send("agent.metrics", { ...snapshot, networks })).ok, true);
  assert.match(t.cp.violations.at(-1) ?? "", /wrong networks: it is lost beside networkStats/);
  assert.equal(t.cp.realtime.metrics().at(-1)?.networks, undefined);
});

Deno.test("a second socket of a node closes the first; a deleted node keeps its socket", async () => {
  await using t = await setUpRealtime();
  const first = await t.agent();
  const second = await t.agent();
  await t.until(() => first.closed === "io server disconnect");
  assert.equal(t.cp.node(t.node.nodeId).status, "online");
  assert.equal(t.cp.realtime.sockets.length, 1);
  t.cp.deleteNode(t.node.nodeId);
  assert.equal((await second.send("agent.ping", { timestamp: new Date().toISOString() })).ok, true);
  assert.equal(second.closed, undefined);
  assert.deepEqual(t.cp.violations, []);
});

Deno.test("sockets end: no ping, a forced end, a cut, the server's stop; a start brings them back", async () => {
  await using t = await setUpRealtime({ agentPingTimeoutMs: 60 });
  const silent = await t.agent();
  await t.until(() => silent.closed === "io server disconnect");
  assert.match(t.cp.violations.join(), /no "agent.ping" in time/);
  t.cp.options.agentPingTimeoutMs = 45_000;
  const forced = await t.agent();
  t.cp.realtime.disconnect(t.node.nodeId);
  await t.until(() => forced.closed === "io server disconnect");
  const cut = await t.agent();
  t.cp.realtime.dropSockets();
  await t.until(() => cut.closed === "transport close");
  assert.equal(t.cp.node(t.node.nodeId).status, "offline");
  const stopped = await t.agent();
  await t.cp.stop();
  await t.until(() => stopped.closed === "transport close");
  await assert.rejects(t.connect());
  await t.cp.start();
  await t.agent();
  assert.equal(t.cp.node(t.node.nodeId).status, "online");
});

Deno.test("upgrades are recorded and take faults", async () => {
  await using t = await setUpRealtime();
  const fault = t.cp.fault({ path: "transport=websocket", status: 503, times: 1 });
  await assert.rejects(t.connect());
  const reset = t.cp.fault({ path: "/socket.io/", reset: "before", times: 1 });
  await assert.rejects(t.connect());
  await t.agent();
  assert.deepEqual([fault.hits, reset.hits], [1, 1]);
  assert.deepEqual(t.cp.requests.map((it) => it.status ?? it.outcome), [503, "reset", 101]);
});

Deno.test("a client that resets its upgrade disturbs nobody", async () => {
  await using t = await setUpRealtime();
  const path = "/socket.io/?EIO=4&transport=websocket";
  for (
    const fault of [{ latencyMs: 50 }, { status: 503, latencyMs: 50 }, { hang: true }] as const
  ) {
    t.cp.fault({ path, times: 1, ...fault });
    const client = connect(t.cp.port, "127.0.0.1").on("error", () => {});
    await once(client, "connect");
    client.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n`);
    client.write("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    client.write("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    const before = t.cp.requests.length;
    await t.cp.waitFor(() => t.cp.requests.length > before, { what: "the upgrade" });
    client.resetAndDestroy();
    await t.cp.waitFor(() => t.cp.requests.every(({ outcome }) => outcome !== "pending"));
  }
  await t.agent();
});

Deno.test("an older control plane acknowledges nothing", async () => {
  await using t = await setUpRealtime({ acks: false });
  const agent = await t.agent();
  const ping = { type: "agent.ping", timestamp: new Date().toISOString() };
  await assert.rejects(agent.socket.timeout(50).emitWithAck("agent.ping", ping));
  assert.equal(t.cp.realtime.events.at(-1)?.answer?.ok, true);
});

Deno.test("a task is dispatched in three shapes; reports are taken as events too", async () => {
  await using t = await setUpRealtime();
  const agent = await t.agent();
  const { realtime } = t.cp;
  const spec = { type: "shell.exec", payload: { command: "true" }, timeoutSeconds: 5 };
  const id = realtime.dispatch(spec);
  realtime.dispatch(spec, "bare");
  realtime.dispatch(spec, "action");
  await t.until(() => agent.got("task.dispatch").length === 3);
  const [wrapped, bare, action] = agent.got("task.dispatch");
  assert.partialDeepStrictEqual(wrapped, { type: "task.dispatch", task: { id } });
  assert.partialDeepStrictEqual(bare, { type: "shell.exec", status: "queued", timeoutSeconds: 5 });
  assert.partialDeepStrictEqual(action, { action: "shell.exec", data: spec.payload, timeout: 5 });
  for (const name of ["accepted", "started"]) await agent.send(`task.${name}`, { taskId: id });
  await agent.send("task.log", { taskId: id, stream: "stdout", line: "hello" });
  await agent.send("task.completed", { taskId: id, status: "success", exitCode: 0 });
  assert.equal(t.cp.task(id).status, "success");
  assert.equal(t.cp.operatorLog(id), "hello");
  assert.deepEqual(t.cp.violations, []);
  const late = await agent.send("task.log", { taskId: id, stream: "stdout", line: "late" });
  assert.equal(late.ok, false);
});
