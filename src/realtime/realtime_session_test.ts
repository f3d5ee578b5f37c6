import assert from "node:assert/strict";
import { delay } from "@std/async";
import { settlesWithin } from "../system/deadline.ts";
import { LinkDroppedError, NoAckError } from "./realtime_link.ts";
import { IDENTITY, TestServer } from "./_test_server.ts";
import { TestSession } from "./_test_session.ts";

Deno.test("the session authenticates with all three versions and nothing more", async () => {
  await using server = await TestServer.start();
  await using test = new TestSession(server.url);
  assert.equal(test.session.ready, false);
  await test.session.whenReady();
  assert.equal(test.session.ready, true);
  await test.session.whenReady();
  assert.deepEqual(server.received, [{
    event: "agent.auth",
    payload: {
      type: "agent.auth",
      ...IDENTITY,
      agentVersion: "2.0.0",
      platformVersion: "12",
      kernelVersion: "6.1.0",
    },
  }, ...server.received.slice(1)]);
  assert.equal(test.log.some(({ level }) => level === "warn" || level === "error"), false);
});

Deno.test("the applied root access is told, the wished one handed on", async () => {
  await using server = await TestServer.start();
  const wish = { profile: "task", updatedAt: "2026-01-01T00:00:00Z" };
  server.authAnswer = { nodeId: IDENTITY.nodeId, rootAccess: wish };
  const applied = { appliedProfile: "off" };
  await using test = new TestSession(server.url, {}, { rootAccess: () => applied });
  await test.session.whenReady();
  assert.deepEqual(server.payloads("agent.auth")[0]?.rootAccess, applied);
  assert.deepEqual(test.handled, [["root", wish]]);
});

Deno.test("a session that the server ends, or drops, comes again", async () => {
  await using server = await TestServer.start();
  await using test = new TestSession(server.url);
  await test.session.whenReady();
  server.agents.disconnectSockets(false);
  const ended = await test.logged("realtime session ended");
  assert.equal(ended.reason, "io server disconnect");
  await test.session.whenReady();
  for (const socket of server.agents.sockets.values()) socket.conn.close();
  await test.logged("realtime session ended", ({ reason }) => reason === "transport close");
  await test.session.whenReady();
  assert.equal(server.payloads("agent.auth").length, 3);
});

Deno.test("a server that comes back is found again", async () => {
  const first = await TestServer.start();
  const { port } = first;
  await using test = new TestSession(first.url);
  await test.session.whenReady();
  await first[Symbol.asyncDispose]();
  await test.logged("realtime connection failed", (e) => e.failure === "transport dial failure");
  assert.equal(test.session.ready, false);
  await using _second = await TestServer.start({ port });
  await test.session.whenReady();
});

Deno.test("an authentication that names another node is none", async () => {
  await using server = await TestServer.start();
  server.authAnswer = { nodeId: "node-2" };
  await using test = new TestSession(server.url);
  const { cause } = await test.logged("realtime connection failed");
  assert.equal(cause, "the answer does not let this node in");
  server.authAnswer = { nodeId: IDENTITY.nodeId };
  await test.session.whenReady();
});

Deno.test("a location for which the server hangs up is left out, and that is remembered", async () => {
  await using server = await TestServer.start();
  server.onLocation = (socket) => socket.disconnect(true);
  let refusals = 0;
  const location = {
    current: () => Promise.resolve({ region: "cellar" }),
    refused: () => refusals++,
  };
  await using test = new TestSession(server.url, {}, { location });
  await test.session.whenReady();
  const told = server.payloads("agent.auth").map((auth) => auth.location);
  assert.deepEqual(told, [{ region: "cellar" }, undefined]);
  assert.equal(refusals, 1);
  server.onLocation = () => {};
  server.agents.disconnectSockets(true);
  await server.until(() => server.payloads("agent.auth").length === 3);
  await test.session.whenReady();
  assert.equal(refusals, 1);
});

Deno.test("a location is not blamed for a connection that is lost", async () => {
  await using server = await TestServer.start();
  server.onLocation = (socket) => {
    server.onLocation = () => {};
    socket.conn.close();
  };
  let refusals = 0;
  const location = {
    current: () => Promise.resolve({ region: "cellar" }),
    refused: () => refusals++,
  };
  await using test = new TestSession(server.url, {}, { location });
  await test.session.whenReady();
  const told = server.payloads("agent.auth").map((auth) => auth.location);
  assert.deepEqual(told, [{ region: "cellar" }, { region: "cellar" }]);
  assert.equal(refusals, 0);
});

Deno.test("refused credentials are named without the token, and tried again", async () => {
  await using server = await TestServer.start();
  const identity = { nodeId: "node-1", agentToken: "another-secret" };
  await using test = new TestSession(server.url, {}, { identity });
  const failed = await test.logged("realtime connection failed");
  assert.equal(failed.level, "error");
  assert.equal(failed.failure, "auth error");
  assert.equal(failed.cause, "Invalid agent credentials");
  await server.until(() => server.payloads("agent.auth").length >= 3);
  const told = test.log.filter(({ msg }) => msg === "realtime connection failed");
  assert.deepEqual(told.slice(1).filter(({ level }) => level !== "debug"), []);
  assert.equal(JSON.stringify(test.log).includes(identity.agentToken), false);
});

Deno.test("pauses grow from 1 s to 30 s, to 60 s where the credentials are refused", async () => {
  await using server = await TestServer.start();
  const cases = [
    ["http://127.0.0.1:1", [1, 2, 4, 8, 16, 30, 30]],
    [server.url, [1, 2, 4, 8, 16, 32, 60]],
  ] as const;
  for (const [url, thousandths] of cases) {
    const identity = { nodeId: "node-1", agentToken: "wrong" };
    // All of the pause is left to chance, and chance leaves a thousandth of it.
    await using test = new TestSession(url, {}, { identity, random: () => 0.999 });
    await test.logged("realtime connection failed", (e) => e.retryInMs === thousandths[6]);
    const failed = test.log.filter(({ msg }) => msg === "realtime connection failed");
    if (url === server.url) await server.until(() => server.payloads("agent.auth").length >= 8);
    assert.deepEqual(failed.slice(0, 6).map((e) => e.retryInMs), thousandths.slice(0, 6));
    assert.equal(failed.filter(({ level }) => level !== "debug").length, 1);
  }
});

Deno.test("realtime_backoff_jitter is the part of a pause that is left to chance", async () => {
  for (const [realtimeBackoffJitter, pauseMs] of [[0, 1_000], [0.2, 900], [1, 500]] as const) {
    const random = () => 0.5;
    await using test = new TestSession("http://127.0.0.1:1", { realtimeBackoffJitter }, { random });
    const failed = await test.logged("realtime connection failed");
    assert.equal(failed.retryInMs, pauseMs);
  }
});

Deno.test("a request gives the acknowledgement, or says why there is none", async () => {
  await using server = await TestServer.start();
  await using test = new TestSession(server.url);
  await assert.rejects(test.session.request("terminal.output", {}, 60_000), LinkDroppedError);
  await test.session.whenReady();
  server.acknowledge = () => ({ ok: true, sessionId: "s", seq: 7 });
  const ack = await test.session.request("terminal.output", { sessionId: "s" }, 60_000);
  assert.deepEqual(ack, { ok: true, sessionId: "s", seq: 7 });
  assert.deepEqual(server.payloads("terminal.output"), [{
    type: "terminal.output",
    sessionId: "s",
  }]);
  server.acknowledge = () => ({ ok: false, eventType: "terminal.output", message: "no" });
  assert.deepEqual(await test.session.request("terminal.output", {}, 60_000), {
    ok: false,
    message: "no",
  });
  const noAnswers = [undefined, null, true, {}, { statusCode: 503 }, { ok: 1 }];
  for (const answer of [...noAnswers, { ok: true, sessionId: "another" }]) {
    server.acknowledge = () => answer;
    const asked = test.session.request("terminal.output", { sessionId: "s" }, 20);
    await assert.rejects(asked, NoAckError, JSON.stringify(answer));
  }
  const dropped = test.session.request("terminal.output", { last: true }, 60_000);
  const expectation = assert.rejects(dropped, LinkDroppedError);
  await server.until(() => server.received.at(-1)?.payload.last === true);
  server.agents.disconnectSockets(true);
  await expectation;
});

Deno.test("events wait for the next session in order, metrics give way to them", async () => {
  const first = await TestServer.start();
  const { port } = first;
  await using test = new TestSession(first.url);
  await test.session.whenReady();
  await first[Symbol.asyncDispose]();
  await test.logged("realtime session ended");
  test.session.emitMetrics({ cpuUsage: 1 });
  test.session.emitMetrics({ cpuUsage: 2 });
  for (const sessionId of ["a", "b", "c"]) {
    assert.equal(test.session.emit("terminal.exited", { sessionId }), true);
  }
  await using second = await TestServer.start({ port });
  await test.session.whenReady();
  await second.until(() => second.payloads("agent.metrics").length > 0);
  assert.deepEqual(second.payloads("terminal.exited").map((p) => p.sessionId), ["a", "b", "c"]);
  assert.deepEqual(second.payloads("agent.metrics"), [
    { type: "agent.metrics", ...IDENTITY, agentVersion: "2.0.0", cpuUsage: 2 },
  ]);
});

Deno.test("an event that was not acknowledged is sent again, what must not come twice is not", async () => {
  await using server = await TestServer.start();
  await using test = new TestSession(server.url);
  await test.session.whenReady();
  server.acknowledge = () => undefined;
  test.session.emit("terminal.opened", { sessionId: "a" });
  for (let i = 0; i < 20; i++) {
    const kept = test.session.emit("terminal.output", { sessionId: "a", payload: "" });
    assert.equal(kept, true, "it does not fill the queue");
  }
  test.session.emit("terminal.exited", { sessionId: "b" });
  await server.until(() => server.payloads("terminal.exited").length === 1);
  server.acknowledge = () => ({ ok: true });
  server.agents.disconnectSockets(true);
  await server.until(() => server.payloads("terminal.exited").length === 2);
  assert.equal(server.payloads("terminal.opened").length, 1);
  assert.equal(server.payloads("terminal.output").length, 20);
});

Deno.test("an event that nothing shows to have arrived goes again, however late the line is found dead", async () => {
  for (const [answered, times] of [["agent.ping", 2], ["terminal.output", 1]] as const) {
    await using server = await TestServer.start();
    await using test = new TestSession(server.url, {}, { ackLimitMs: 5 });
    await test.session.whenReady();
    server.acknowledge = (event) => event === answered ? { ok: true } : undefined;
    test.session.emit("terminal.exited", { sessionId: "a" });
    await server.until(() => server.payloads("terminal.exited").length === 1);
    // The limit passes, and what is sent later is answered, or not.
    const limitMs = answered === "terminal.output" ? 60_000 : 50;
    await test.session.request("terminal.output", {}, limitMs).catch(() => {});
    await assert.rejects(test.session.request("terminal.error", {}, 50), NoAckError);
    server.acknowledge = () => ({ ok: true });
    server.agents.disconnectSockets(true);
    await test.logged("realtime session ended");
    await test.session.whenReady();
    await test.session.request("terminal.output", {}, 60_000);
    assert.equal(server.payloads("terminal.exited").length, times, answered);
  }
});

Deno.test("output is refused while the server does not read what was sent", async () => {
  await using server = await TestServer.start();
  await using test = new TestSession(server.url);
  await test.session.whenReady();
  const [socket] = server.agents.sockets.values();
  assert.ok(socket);
  socket.request.socket.pause();
  const payload = "x".repeat(60_000);
  const emit = () => test.session.emit("terminal.output", { sessionId: "a", payload });
  let sent = 0;
  while (emit()) {
    assert.ok(++sent * payload.length < 64e6, "there is no bound");
    await delay(0);
  }
  socket.request.socket.resume();
  await server.until(() => server.payloads("terminal.output").length === sent);
  assert.equal(emit(), true);
});

Deno.test("a full queue refuses output alone, and says so", async () => {
  await using test = new TestSession("http://127.0.0.1:1");
  test.session.emitMetrics({});
  const emit = (event: string) => test.session.emit(event, { sessionId: "a" });
  for (let i = 0; i < 3; i++) assert.equal(emit("terminal.error"), true);
  assert.deepEqual([1, 2, 3].map(() => emit("terminal.output")), [true, false, false]);
  assert.equal(emit("terminal.exited"), true);
  const full = test.log.filter(({ msg }) => msg === "realtime queue is full");
  assert.equal(full.length, 1);
});

Deno.test("whoever waits for a session is told that none will come", async () => {
  const test = new TestSession("http://127.0.0.1:1");
  const waiting = assert.rejects(test.session.whenReady(), LinkDroppedError);
  const own = new AbortController();
  const aborted = assert.rejects(test.session.whenReady(own.signal), /enough/);
  own.abort(new Error("enough"));
  await aborted;
  await test[Symbol.asyncDispose]();
  await waiting;
  await assert.rejects(test.session.whenReady(), LinkDroppedError);
});

Deno.test("an outer signal ends the session", async () => {
  await using server = await TestServer.start();
  const outer = new AbortController();
  await using test = new TestSession(server.url, {}, { signal: outer.signal });
  await test.session.whenReady();
  const [socket] = await server.agents.fetchSockets();
  assert.ok(socket);
  outer.abort();
  while ((await server.agents.fetchSockets()).length > 0) {
    await new Promise((r) => setTimeout(r, 5));
  }
  assert.equal(test.session.ready, false);
});

Deno.test("two machines with one identity notice it, and do not go on taking the session from each other", async () => {
  await using server = await TestServer.start();
  server.agents.on("connection", (socket) => {
    for (const other of server.agents.sockets.values()) {
      if (other !== socket) other.disconnect(true);
    }
  });
  await using one = new TestSession(server.url);
  await using two = new TestSession(server.url);
  const taken = "realtime session is taken over";
  const loser = await Promise.race([one, two].map((test) => test.logged(taken).then(() => test)));
  const [told] = loser.log.filter(({ msg }) => msg === taken);
  assert.equal(told?.level, "error");
  assert.match(String(told?.fix), /enroll --again/);
  assert.ok(Number(told?.retryInMs) > 29_000);
  assert.equal(loser.session.now.shared, true);
  assert.match(loser.session.now.problem ?? "", /another machine/);
  const winner = loser === one ? two : one;
  await winner.session.whenReady();
  assert.ok(server.payloads("agent.auth").length <= 10);
});

Deno.test("a session in use comes back at once, another in its turn, whether calls fail or not", async () => {
  await using server = await TestServer.start();
  for (const isInUse of [true, false]) {
    for (const failing of [true, false]) {
      await using test = new TestSession(server.url, {}, { isInUse: () => isInUse });
      test.reachability.spreadMs = () => 3_600_000;
      await test.session.whenReady();
      if (failing) test.reachability.failed();
      server.agents.disconnectSockets(true);
      const { retryInMs } = await test.logged("realtime session ended");
      assert.equal(test.reachability.isLost, failing);
      // By the test's own draw hardly any of the session's own pause is left.
      assert.equal(Number(retryInMs) < 100, isInUse);
      if (isInUse) await test.session.whenReady();
    }
  }
});

Deno.test("an answer ends a session's wait for its turn where calls have failed, and not where they go on", async () => {
  for (const failing of [true, false]) {
    const server = await TestServer.start();
    await using test = new TestSession(server.url);
    const { reachability, log } = test;
    await test.session.whenReady();
    await server[Symbol.asyncDispose]();
    await test.logged("realtime connection failed");
    reachability.spreadMs = () => 3_600_000;
    if (failing) reachability.failed();
    await test.logged("realtime connection failed", ({ retryInMs }) => Number(retryInMs) > 60_000);
    const lines = log.length;
    // It is logged before it is waited for.
    await delay(0);
    reachability.answered();
    // Longer than what is answered together is spread over.
    const isWoken = await settlesWithin(
      test.logged("realtime connection failed", (event) => log.indexOf(event) >= lines),
      failing ? 10_000 : 400,
    );
    assert.equal(isWoken, failing);
  }
});

Deno.test("a session that cannot be opened is tried again in its turn, unless it was never up or is in use", async () => {
  const first = await TestServer.start();
  const { port } = first;
  let isInUse = true;
  await using test = new TestSession(first.url, {}, { isInUse: () => isInUse });
  test.reachability.spreadMs = () => 3_600_000;
  await test.session.whenReady();
  await first[Symbol.asyncDispose]();
  const failed = await test.logged("realtime connection failed");
  assert(Number(failed.retryInMs) < 100);
  isInUse = false;
  await test.logged("realtime connection failed", ({ retryInMs }) => Number(retryInMs) > 60_000);
  await using never = new TestSession(`http://127.0.0.1:${port}`);
  never.reachability.spreadMs = () => 3_600_000;
  assert(Number((await never.logged("realtime connection failed")).retryInMs) < 100);
});
