import assert from "node:assert/strict";
import { Logger } from "../system/logger.ts";
import { RefusedError, UnreachableError } from "./errors.ts";
import { OutageLog } from "./outage_log.ts";
import { Reachability } from "./reachability.ts";
import { RetryPacer } from "./retry_pacer.ts";

const GONE = new UnreachableError("POST /x: reset");
const REVOKED = new RefusedError(401, "Invalid agent credentials");

/** A pacer and a log whose pauses pass at once, on a clock of their own. */
function makeBench(random = 1) {
  const events: Record<string, unknown>[] = [];
  const clock = { nowMs: 0 };
  const pauses: number[] = [];
  const reachability = new Reachability();
  reachability.pause = (ms) => {
    pauses.push(ms);
    clock.nowMs += ms;
    return Promise.resolve();
  };
  const pacer = new RetryPacer({ reachability, random: () => random });
  const outage = new OutageLog({
    what: "claim",
    logger: new Logger({ write: (line) => events.push(JSON.parse(line)) }),
    now: () => clock.nowMs,
  });
  const fail = async (error: unknown, times: number) => {
    pauses.length = 0;
    const { signal } = new AbortController();
    for (let i = 0; i < times; i++) {
      outage.failed(error);
      await pacer.failed(error, signal);
    }
    return pauses;
  };
  const succeed = () => {
    outage.succeeded();
    pacer.succeeded();
  };
  return { events, clock, reachability, succeed, fail };
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
  const { succeed, events, fail } = makeBench();
  const [firstGone] = await fail(GONE, 8);
  const refused = [...await fail(REVOKED, 8)];
  assert.equal(refused[0], 1_000);
  assert.equal(refused.at(-1), 60_000);
  assert.equal((await fail(GONE, 1))[0], 15_000, "they go on where they were");

  succeed();
  assert.equal(events.at(-1)?.failures, 17, "the log counts them together");
  await fail(REVOKED, 8);
  assert.deepEqual(await fail(GONE, 1), [firstGone]);
});

Deno.test("after a success the pauses begin anew", async () => {
  const { succeed, fail } = makeBench();
  const [first] = await fail(GONE, 20);
  succeed();
  assert.deepEqual(await fail(GONE, 1), [first]);
});

Deno.test("the log hears of it at once, then once a minute, and when it is over", async () => {
  const { events, clock, succeed, fail } = makeBench();
  await fail(GONE, 1);
  assert.deepEqual(
    events.map(({ level, msg, call, error }) => ({ level, msg, call, error })),
    [{ level: "warn", msg: "control plane call failed", call: "claim", error: GONE.message }],
  );
  await fail(GONE, 100);
  const minutes = clock.nowMs / 60_000;
  assert(minutes > 20 && events.length >= minutes * 0.7 && events.length <= minutes + 1);

  succeed();
  const last = events.at(-1);
  assert.equal(last?.msg, "control plane call succeeds again");
  assert.equal(last?.failures, 101);
  assert.equal(last?.seconds, Math.round(clock.nowMs / 1_000));
  const count = events.length;
  succeed();
  assert.equal(events.length, count, "an ordinary success is no news");
  await fail(GONE, 1);
  assert.equal(events.length, count + 1, "the next outage is");
});

Deno.test("a revoked node is told of as an error with what to do", async () => {
  const { events, fail } = makeBench();
  await fail(REVOKED, 1);
  assert.equal(events[0]?.level, "error");
  assert.match(String(events[0]?.fix), /enroll/);
});

/** What a pause is asked for of a pacer that fails while others are answered, by turns. */
async function pausesBeside(answers: number, error: Error, times: number): Promise<number[]> {
  const { reachability, fail } = makeBench();
  const asked: number[] = [];
  for (let i = 0; i < times; i++) {
    for (let j = 0; j < answers; j++) reachability.answered();
    asked.push(...await fail(error, 1));
  }
  return asked;
}

Deno.test("a call that fails while others are answered is not tried with each of their answers", async () => {
  const alone = await pausesBeside(0, GONE, 40);
  const beside = await pausesBeside(3, GONE, 40);
  assert.equal(beside.at(-1), alone.at(-1), "it ends where the pauses end");
  assert(beside.every((ms, i) => ms >= (beside[i - 1] ?? 0)));
});

Deno.test("when another call is answered, what waits tries again within a second, and then as at first", async () => {
  const reachability = new Reachability();
  const pacer = new RetryPacer({ reachability, random: () => 1 });
  const { signal } = new AbortController();
  const early = reachability.pause;
  const asked: [ms: number, soonestMs: number][] = [];
  reachability.pause = (ms, soonestMs) => {
    asked.push([ms, soonestMs]);
    return Promise.resolve();
  };
  for (let i = 0; i < 10; i++) await pacer.failed(GONE, signal);
  assert.deepEqual(asked.at(-1), [15_000, 1_000]);
  for (const expected of [2_000, 4_000, 8_000]) {
    reachability.answered();
    await pacer.failed(GONE, signal);
    assert.deepEqual(asked.at(-1), [expected, expected]);
  }
  // Nobody is answered: it is not this call's fault any more.
  await pacer.failed(GONE, signal);
  assert.deepEqual(asked.at(-1), [15_000, 1_000]);

  reachability.pause = early;
  const startMs = performance.now();
  const waiting = [0, 0, 0].map(() => reachability.pause(60_000, 0, signal));
  const named = reachability.pause(60_000, 500, signal);
  reachability.answered();
  await Promise.all(waiting);
  await named;
  const tookMs = performance.now() - startMs;
  assert(tookMs >= 499 && tookMs < 30_000, `${tookMs} ms`);
});

Deno.test("no answer of others cuts a time short that an answer names", async () => {
  const { reachability, fail } = makeBench(0);
  const busy = new RefusedError(503, "x", true, 20_000);
  const pause = reachability.pause;
  let soonest = 0;
  reachability.pause = (ms, soonestMs, signal) => {
    soonest = soonestMs;
    return pause(ms, soonestMs, signal);
  };
  await fail(busy, 1);
  assert.equal(soonest, 20_000);
});

Deno.test("an abort ends the real wait and is thrown", async () => {
  const pacer = new RetryPacer({ reachability: new Reachability() });
  const stop = new AbortController();
  const waiting = pacer.failed(REVOKED, stop.signal);
  stop.abort();
  await assert.rejects(waiting, { name: "AbortError" });
});
