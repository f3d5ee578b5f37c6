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

Deno.test("a turn that was in vain is followed by one as far behind, on average, as the spread is long", () => {
  const reachability = makeReachability(HOUR_MS, drawing(0, 0, 1));
  assert.equal(seconds(reachability.failed()), 0);
  assert.equal(seconds(reachability.failed()), 1_800);
  const latest = makeReachability(HOUR_MS, drawing(0, 1));
  latest.failed();
  assert.equal(seconds(latest.failed()), 5_400);
});

Deno.test("who has had no answer yet has lost nothing, and takes no turn", async () => {
  const reachability = new Reachability(() => 1);
  reachability.spreadMs = () => HOUR_MS;
  const pacer = new RetryPacer({ reachability, takesTurns: true, random: () => 0 });
  for (let i = 0; i < 3; i++) assert.equal(await isAtOnce(pacer.failed(GONE, signal)), true);
  reachability.answered();
  assert.equal(seconds(reachability.failed()), 3_600);
});

Deno.test("a session that drops while calls are answered is the agent's own loss", () => {
  const reachability = makeReachability(HOUR_MS, () => 0.5);
  reachability.connected();
  assert.equal(reachability.dropped(), undefined);
  assert.equal(reachability.isLost, false);
  reachability.connected();
  assert.equal(reachability.failed(), undefined, "the session says that it is there");
  assert.equal(seconds(reachability.dropped()), 1_800);
  reachability.connected();
  assert.equal(reachability.dropped(), undefined, "it was answered since");
  assert.equal(seconds(reachability.failed()), 1_800, "a call fails after the session");
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
  assert.equal(seconds(reachability.failed()), 1_800);
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
