import assert from "node:assert/strict";
import { delay } from "@std/async";
import { Logger } from "../system/logger.ts";
import { LinkDroppedError, NoAckError } from "./realtime_link.ts";
import { keepAlive } from "./ping.ts";
import { TestServer } from "./_test_server.ts";
import { TestSession } from "./_test_session.ts";

Deno.test("pings carry their type and a timestamp only, in every interval", async () => {
  await using server = await TestServer.start();
  await using test = new TestSession(server.url, { realtimePingIntervalMs: 5 });
  await server.until(() => server.payloads("agent.ping").length >= 5);
  for (const { type, timestamp, ...rest } of server.payloads("agent.ping")) {
    assert.equal(type, "agent.ping");
    assert.ok(!Number.isNaN(Date.parse(String(timestamp))));
    assert.deepEqual(rest, {});
  }
  // The interval is asked for anew each time.
  test.config.realtimePingIntervalMs = 60_000;
  // What is asked behind the last ping is answered behind it.
  const settle = async () => {
    await delay(50);
    await test.session.request("terminal.output", {}, 60_000);
  };
  await settle();
  const sofar = server.payloads("agent.ping").length;
  await settle();
  assert.equal(server.payloads("agent.ping").length, sofar);
});

/** Runs pings against a real server which answers so many as are heard in time, until `ends`. */
async function ping(
  answers: number,
  ends: (stop: { dead: string | undefined; pings: number }) => boolean,
): Promise<{ dead: string | undefined; log: string[] }> {
  await using server = await TestServer.start();
  await using test = new TestSession(server.url);
  await test.session.whenReady();
  await server.until(() => server.payloads("agent.ping").length === 1);
  let count = 0;
  let heard = 0;
  server.acknowledge = () => {
    count++;
    return heard < answers ? { ok: true } : undefined;
  };
  const stop = new AbortController();
  const log: string[] = [];
  let dead: string | undefined;
  const check = () => ends({ dead, pings: count }) && stop.abort();
  let heardAtMs = 0;
  await keepAlive({
    connection: {
      get heardAtMs() {
        return heardAtMs;
      },
      request: async (event, payload, timeoutMs) => {
        const ack = await test.session.request(event, payload, timeoutMs).finally(check);
        heardAtMs = performance.now();
        heard++;
        return ack;
      },
    },
    intervalMs: () => 10,
    deadMs: 50,
    onDead: (reason) => {
      dead ??= reason;
      check();
    },
    logger: new Logger({ level: "warn", write: (line) => log.push(JSON.parse(line).msg) }),
    signal: stop.signal,
  });
  return { dead, log };
}

Deno.test("a connection whose answers stay away is given up", async () => {
  const { dead } = await ping(3, ({ dead }) => dead !== undefined);
  assert.equal(dead, "no ping was answered for 0.05 s");
});

Deno.test("a control plane that never acknowledges is warned of once and left in peace", async () => {
  const { dead, log } = await ping(0, ({ pings }) => pings >= 15);
  assert.equal(dead, undefined);
  assert.deepEqual(log, ["control plane does not acknowledge pings"]);
});

Deno.test("a slow answer and none are warned of once a minute, and a lost connection is no answer", async () => {
  await using server = await TestServer.start();
  await using test = new TestSession(server.url);
  await test.session.whenReady();
  const log: string[] = [];
  const stop = new AbortController();
  let pings = 0;
  const answers = [
    () => Promise.resolve(),
    () => new Promise((resolve) => setTimeout(resolve, 2_050)),
    () => new Promise((resolve) => setTimeout(resolve, 2_050)),
    () => Promise.reject(new LinkDroppedError("gone")),
    () => Promise.reject(new NoAckError("none")),
    () => Promise.reject(new NoAckError("none")),
  ];
  await keepAlive({
    connection: {
      heardAtMs: Infinity,
      request: async () => {
        await answers[pings++]?.();
        return { ok: true };
      },
    },
    intervalMs: () => {
      if (pings > answers.length) setTimeout(() => stop.abort(), 2_200);
      return pings > answers.length ? 60_000 : 1;
    },
    onDead: () => assert.fail("it is alive"),
    logger: new Logger({ level: "info", write: (line) => log.push(JSON.parse(line).msg) }),
    signal: stop.signal,
  });
  // On a machine that stood still the slow one is seen first.
  assert.deepEqual(log.toSorted(), ["realtime ping is not answered", "realtime ping is slow"]);
});

Deno.test("after a standstill what came meanwhile is looked at before a connection is given up", async () => {
  const stop = new AbortController();
  const dead: string[] = [];
  let pings = 0;
  const connection = {
    heardAtMs: 0,
    request: async () => {
      if (pings++ === 0) return { ok: true };
      await delay(1);
      // The answer is there, but its turn comes behind the timer's.
      if (pings < 5) setTimeout(() => connection.heardAtMs = performance.now(), 2);
      throw new NoAckError("none");
    },
  };
  await keepAlive({
    connection,
    intervalMs: () => 200,
    deadMs: 50,
    onDead: (reason) => {
      dead.push(`${pings}: ${reason}`);
      stop.abort();
    },
    logger: new Logger({ level: "error", write: () => {} }),
    signal: stop.signal,
  });
  assert.deepEqual(dead, ["5: no ping was answered for 0.05 s"]);
});
