import assert from "node:assert/strict";
import { TestServer } from "./_test_server.ts";
import { TestSession } from "./_test_session.ts";

Deno.test("a binary attachment is handed on like any payload", async () => {
  await using server = await TestServer.start();
  await using test = new TestSession(server.url);
  await test.session.whenReady();
  server.agents.emit("terminal.input", { sessionId: "a", payload: new Uint8Array([1, 2, 3]) });
  server.agents.emit("terminal.stop", { sessionId: "a" });
  while (test.handled.length < 2) await test.session.request("agent.ping", {}, 60_000);
  assert.deepEqual(test.handled.map(([event]) => event), ["terminal.input", "terminal.stop"]);
  assert.equal(server.payloads("agent.auth").length, 1);
});

Deno.test("a binary message that belongs to nothing ends the connection, and another follows", async () => {
  await using server = await TestServer.start();
  await using test = new TestSession(server.url);
  await test.session.whenReady();
  for (const { conn } of server.agents.sockets.values()) conn.write(Uint8Array.of(1, 2, 3));
  const { reason } = await test.logged("realtime session ended");
  assert.equal(reason, "parse error");
  await test.session.whenReady();
  await test.session.request("agent.ping", {}, 60_000);
});

Deno.test("whatever is thrown around a connection, another is tried", async () => {
  await using server = await TestServer.start();
  const throwing = new Set(["rootAccess", "onReady"]);
  const throwOnce = (where: string) => {
    if (throwing.delete(where)) throw new Error(`nobody thought of ${where}`);
  };
  await using test = new TestSession(server.url, {}, {
    rootAccess: () => void throwOnce("rootAccess"),
    onReady: () => throwOnce("onReady"),
  });
  test.session.emit("terminal.exited", { sessionId: "a" });
  await server.until(() => server.payloads("agent.ping").length > 0);
  const causes = test.log.filter(({ msg }) => msg === "realtime connection failed")
    .map(({ cause }) => String(cause).split(";")[0]);
  assert.deepEqual(causes, ["nobody thought of rootAccess", "nobody thought of onReady"]);
  assert.ok(server.payloads("terminal.exited").length > 0);
});

Deno.test("acknowledgements are known of from the first of a session on", async () => {
  await using server = await TestServer.start();
  await using test = new TestSession(server.url);
  assert.equal(test.session.acknowledges, undefined);
  server.acknowledge = () => undefined;
  await test.session.whenReady();
  await server.until(() => server.payloads("agent.ping").length === 1);
  assert.equal(test.session.acknowledges, undefined);
  server.acknowledge = () => ({ ok: true });
  await test.session.request("agent.ping", {}, 60_000);
  assert.equal(test.session.acknowledges, true);
  server.acknowledge = () => undefined;
  server.agents.disconnectSockets(true);
  await test.logged("realtime session ended");
  await test.session.whenReady();
  assert.equal(test.session.acknowledges, undefined);
});

Deno.test("every error reaches a control plane, however small the queue", async () => {
  await using server = await TestServer.start();
  await using test = new TestSession(server.url, { realtimeQueueSize: 1 });
  await test.session.whenReady();
  server.acknowledge = () => undefined;
  for (let i = 0; i < 50; i++) {
    assert.equal(test.session.emit("terminal.error", { sessionId: "a", message: `${i}` }), true);
    test.session.emitMetrics({ cpuUsage: i });
  }
  await server.until(() => server.payloads("agent.metrics").length === 50);
  const messages = server.payloads("terminal.error").map(({ message }) => Number(message));
  assert.deepEqual(messages, Array.from({ length: 50 }, (_, i) => i));
});
