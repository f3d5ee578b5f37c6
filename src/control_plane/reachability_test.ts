import assert from "node:assert/strict";
import { settlesWithin } from "../system/deadline.ts";
import { RefusedError, UnreachableError } from "./errors.ts";
import { Reachability } from "./reachability.ts";
import { RetryPacer } from "./retry_pacer.ts";

const HOUR_MS = 3_600_000;
const GONE = new UnreachableError("POST /x: reset");
const { signal } = new AbortController();

/** Draws these numbers one after the other. */
function drawing(...numbers: number[]): () => number {
  return () => numbers.shift() ?? 0;
}

/** Of an agent that was answered before. */
function makeReachability(spreadMs: number, random: () => number): Reachability {
  const reachability = new Reachability(random);
  reachability.spreadMs = () => spreadMs;
  reachability.answered();
  return reachability;
}

/** Whether it is not waited for. */
function isAtOnce(work: Promise<unknown>): Promise<boolean> {
  return settlesWithin(work, 20);
}

/** The time until a turn, in seconds. */
function seconds(turnMs: number | undefined): number {
  return Math.round(Math.max(0, (turnMs ?? NaN) - performance.now()) / 1_000);
}

Deno.test("an agent draws one turn from all of the spread, whatever it has to try then", () => {
  const reachability = makeReachability(HOUR_MS, drawing(0.75, 0.1));
  assert.equal(seconds(reachability.failed()), 2_700);
  assert.equal(seconds(reachability.failed()), 2_700);
});

Deno.test("a turn that was in vain is followed by one that lies a whole spread behind, up to one and a half", () => {
  for (const [chance, behind] of [[0, 3_600], [1, 5_400]] as const) {
    const reachability = makeReachability(HOUR_MS, drawing(0, chance));
    assert.equal(seconds(reachability.failed()), 0);
    assert.equal(seconds(reachability.failed()), behind);
  }
});

Deno.test("a turn begins when the time has passed that an answer names, and chance comes on top of that", () => {
  for (
    const [spreadMs, askedMs, chance, expected] of [
      [HOUR_MS, 60_000, 0, 60],
      [HOUR_MS, 60_000, 0.5, 1_860],
      [HOUR_MS, 60_000, 1, 3_660],
      // Those that were told the same moment do not come in a spread that is short beside it.
      [10_000, 60_000, 1, 90],
      [0, 60_000, 1, 90],
    ] as const
  ) {
    const reachability = makeReachability(spreadMs, drawing(chance));
    assert.equal(seconds(reachability.failed(askedMs)), expected);
  }
  const reachability = makeReachability(HOUR_MS, drawing(0.5, 0.5));
  assert.equal(seconds(reachability.failed()), 1_800);
  assert.equal(seconds(reachability.failed(60_000)), 1_800, "its turn is later than that");
  assert(seconds(reachability.failed(2_000_000)) >= 2_000, "and is left where it is not");
});

Deno.test("where nothing answers, a call is tried again in its turn, and never before it was asked to be", async () => {
  const busy = new RefusedError(429, "later", true, 5_000);
  const random = () => 0.5;
  for (const [spreadMs, waitMs] of [[HOUR_MS, 1_805_000], [0, 6_250]] as const) {
    const clock = { nowMs: 0 };
    const reachability = new Reachability(random, () => clock.nowMs);
    reachability.spreadMs = () => spreadMs;
    reachability.answered();
    const pacer = new RetryPacer({ reachability, takesTurns: true, random });
    const pauses: [number, number][] = [];
    reachability.pause = (ms, soonestMs) => {
      pauses.push([ms, soonestMs]);
      clock.nowMs += ms;
      return Promise.resolve();
    };
    await pacer.failed(busy, signal);
    // When others are answered it comes sooner than in its turn.
    assert.deepEqual(pauses, [[waitMs, 6_250]]);
  }
});

Deno.test("who has had no answer yet has lost nothing, and takes no turn", async () => {
  const reachability = new Reachability(() => 1);
  reachability.spreadMs = () => HOUR_MS;
  const pacer = new RetryPacer({ reachability, takesTurns: true, random: () => 0 });
  for (let i = 0; i < 3; i++) assert.equal(await isAtOnce(pacer.failed(GONE, signal)), true);
  reachability.answered();
  assert.equal(seconds(reachability.failed()), 3_600);
});

Deno.test("a call that fails alone is the agent's own trouble, a session that drops may be the fleet's", () => {
  const reachability = makeReachability(HOUR_MS, drawing(0.5, 0));
  reachability.connected();
  assert.equal(reachability.failed(), undefined, "the session says that it is there");
  assert.equal(seconds(reachability.dropped()), 1_800);
  assert.equal(reachability.isLost, true);
  reachability.answered();
  assert.equal(reachability.isLost, false);
  assert.equal(seconds(reachability.dropped()), 1_800, "it is the same turn");
  assert.equal(seconds(reachability.failed()), 1_800, "for a call after it, too");
  assert.equal(new Reachability().dropped(), undefined, "nothing was lost");
});

Deno.test("what waits for its turn goes on when another call is answered", async () => {
  const reachability = makeReachability(HOUR_MS, drawing(0.5, 0));
  assert.equal(await isAtOnce(reachability.turn(signal)), true, "nothing is lost yet");
  reachability.failed();
  const waiting = reachability.turn(signal);
  assert.equal(await isAtOnce(waiting), false);
  reachability.answered();
  await waiting;
  assert.equal(await isAtOnce(reachability.turn(signal)), true);
});

Deno.test("a turn that others draw meanwhile does not move the one that is waited for", async () => {
  const reachability = makeReachability(HOUR_MS, drawing(0, 0, 1));
  const turnMs = reachability.failed();
  // The first to try in it fails at once.
  assert.equal(seconds(reachability.failed()), 3_600);
  assert.equal(await isAtOnce(reachability.turn(signal, turnMs)), true);
  const pacer = new RetryPacer({
    reachability: makeReachability(10, drawing(0.5)),
    takesTurns: true,
    random: () => 0,
  });
  await pacer.failed(GONE, signal);
});

Deno.test("calls that nobody waits for take turns when nothing answers, others do not", async () => {
  const reachability = makeReachability(HOUR_MS, () => 0.5);
  const random = () => 0;
  const idle = new RetryPacer({ reachability, takesTurns: true, random });
  reachability.connected();
  assert.equal(
    await isAtOnce(idle.failed(GONE, signal)),
    true,
    "the session says that it is there",
  );
  reachability.dropped();
  const stop = new AbortController();
  const waiting = idle.failed(GONE, stop.signal);
  assert.equal(await isAtOnce(waiting), false);
  assert.equal(await isAtOnce(new RetryPacer({ reachability, random }).failed(GONE, signal)), true);
  stop.abort();
  await assert.rejects(waiting, { name: "AbortError" });
});

Deno.test("what an answer's time leaves to chance grows with it: others were told the same moment", async () => {
  const reachability = new Reachability();
  const pauses: number[] = [];
  reachability.pause = (ms) => {
    pauses.push(ms);
    return Promise.resolve();
  };
  const busy = new RefusedError(429, "later", true, 60_000);
  for (const chance of [0, 0.5, 1]) {
    await new RetryPacer({ reachability, random: () => chance }).failed(busy, signal);
  }
  assert.deepEqual(pauses, [60_000, 75_000, 90_000]);
});
