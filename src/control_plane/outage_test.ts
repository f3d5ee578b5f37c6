import assert from "node:assert/strict";
import { Logger } from "../system/logger.ts";
import { RefusedError, UnreachableError } from "./errors.ts";
import { Outage } from "./outage.ts";

const GONE = new UnreachableError("POST /x: reset");
const REVOKED = new RefusedError(401, "Invalid agent credentials");

/** An outage whose pauses pass at once, on a clock of their own. */
function makeBench(random = 1) {
  const events: Record<string, unknown>[] = [];
  const clock = { nowMs: 0 };
  const pauses: number[] = [];
  const outage = new Outage({
    what: "claim",
    logger: new Logger({ write: (line) => events.push(JSON.parse(line)) }),
    random: () => random,
    now: () => clock.nowMs,
    wait: (ms) => {
      pauses.push(ms);
      clock.nowMs += ms;
      return Promise.resolve();
    },
  });
  const fail = async (error: unknown, times: number) => {
    pauses.length = 0;
    const { signal } = new AbortController();
    for (let i = 0; i < times; i++) await outage.failed(error, signal);
    return pauses;
  };
  return { events, clock, outage, fail };
}

Deno.test("without an answer the pauses grow to 15 s, drawn from 0 on", async () => {
  const highest = await makeBench(1).fail(GONE, 40);
  assert(highest.every((ms, i) => ms >= (highest[i - 1] ?? 0)));
  assert((highest[0] ?? Infinity) <= 1_000);
  assert.equal(highest.at(-1), 15_000);
  assert.deepEqual(await makeBench(0).fail(GONE, 3), [0, 0, 0]);
  assert.equal((await makeBench(1).fail(new RefusedError(503, "x"), 40)).at(-1), 15_000);
});

Deno.test("an answer that refuses is not asked for again within a second", async () => {
  for (const status of [404, 409, 400, 302]) {
    const pauses = await makeBench(0).fail(new RefusedError(status, "no"), 5);
    assert.deepEqual(pauses, [1_000, 1_000, 1_000, 1_000, 1_000], `${status}`);
  }
  assert.equal((await makeBench(1).fail(new RefusedError(404, "no"), 40)).at(-1), 15_000);
});

Deno.test("a time that an answer names is waited for, and then a pause as usual", async () => {
  const busy = new RefusedError(503, "x", true, 20_000);
  assert.deepEqual(await makeBench(0).fail(busy, 2), [20_000, 20_000]);
  assert.equal((await makeBench(1).fail(busy, 40)).at(-1), 35_000);
});

Deno.test("refused credentials neither end the trying nor hammer: up to a minute", async () => {
  for (const status of [401, 403]) {
    const pauses = await makeBench(0).fail(new RefusedError(status, "no"), 40);
    assert((pauses[0] ?? 0) >= 500, "even by the shortest draw");
    assert.equal(pauses.at(-1), 45_000);
    const longest = await makeBench(1).fail(new RefusedError(status, "no"), 40);
    assert.equal(longest.at(-1), 60_000);
  }
});

Deno.test("refused credentials and other failures grow their pauses apart", async () => {
  const { outage, events, fail } = makeBench();
  const [firstGone] = await fail(GONE, 8);
  const refused = [...await fail(REVOKED, 8)];
  assert.equal(refused[0], 1_000);
  assert.equal(refused.at(-1), 60_000);
  assert.equal((await fail(GONE, 1))[0], 15_000, "they go on where they were");

  outage.succeeded();
  assert.equal(events.at(-1)?.failures, 17, "the log counts them together");
  await fail(REVOKED, 8);
  assert.deepEqual(await fail(GONE, 1), [firstGone]);
});

Deno.test("after a success the pauses begin anew", async () => {
  const { outage, fail } = makeBench();
  const [first] = await fail(GONE, 20);
  outage.succeeded();
  assert.deepEqual(await fail(GONE, 1), [first]);
});

Deno.test("the log hears of it at once, then once a minute, and when it is over", async () => {
  const { events, clock, outage, fail } = makeBench();
  await fail(GONE, 1);
  assert.deepEqual(
    events.map(({ level, msg, call, error }) => ({ level, msg, call, error })),
    [{ level: "warn", msg: "control plane cannot be used", call: "claim", error: GONE.message }],
  );
  await fail(GONE, 100);
  const minutes = clock.nowMs / 60_000;
  assert(minutes > 20 && events.length >= minutes * 0.7 && events.length <= minutes + 1);

  outage.succeeded();
  const last = events.at(-1);
  assert.equal(last?.msg, "control plane answers again");
  assert.equal(last?.failures, 101);
  assert.equal(last?.seconds, Math.round(clock.nowMs / 1_000));
  const count = events.length;
  outage.succeeded();
  assert.equal(events.length, count, "an ordinary success is no news");
  await fail(GONE, 1);
  assert.equal(events.length, count + 1, "the next outage is");
});

Deno.test("a revoked node is told of as an error with what to do", async () => {
  const { events, fail } = makeBench();
  await fail(REVOKED, 1);
  assert.equal(events[0]?.level, "error");
  assert.match(String(events[0]?.mend), /enroll/);
});

Deno.test("an abort ends the real wait and is thrown", async () => {
  const outage = new Outage({ what: "claim", logger: new Logger({ write: () => {} }) });
  const stop = new AbortController();
  const waiting = outage.failed(REVOKED, stop.signal);
  stop.abort();
  await assert.rejects(waiting, { name: "AbortError" });
});
