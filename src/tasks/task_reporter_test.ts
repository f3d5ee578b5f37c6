import assert from "node:assert/strict";
import { RefusedError, TimedOutError, UnreachableError } from "../control_plane/errors.ts";
import { Reachability } from "../control_plane/reachability.ts";
import { Logger } from "../system/logger.ts";
import { EntryPatience, GivenUpError, untilAnswered } from "./task_reporter.ts";

const logger = new Logger({ write: () => {} });
const ONCE = {
  giveUp: new AbortController().signal,
  logger,
  reachability: new Reachability(),
};

/** A call that throws one error after the other, then is answered. */
function failing(...errors: Error[]) {
  const state = { tries: 0 };
  const call = () => {
    const error = errors[state.tries++];
    return error ? Promise.reject(error) : Promise.resolve();
  };
  return { call, state };
}

Deno.test("what may still succeed is tried again", async () => {
  const { call, state } = failing(
    new UnreachableError("reset"),
    new RefusedError(503, "down"),
    new RefusedError(409, "Task is in queued state"),
  );
  await untilAnswered("started", call, ONCE);
  assert.equal(state.tries, 4);
  const tooMany = failing(new RefusedError(429, "too many"));
  await untilAnswered("started", tooMany.call, ONCE);
  assert.equal(tooMany.state.tries, 2);
});

Deno.test("every other refusal is final", async () => {
  for (const status of [400, 401, 403, 404, 409, 422]) {
    const { call, state } = failing(new RefusedError(status, "no"), new Error("never reached"));
    await assert.rejects(untilAnswered("started", call, ONCE), RefusedError);
    assert.equal(state.tries, 1, `${status}`);
  }
});

Deno.test("refused credentials and redirects cost no log line and no end of a task", async () => {
  for (const what of ["log", "completed"] as const) {
    const { call, state } = failing(new RefusedError(401, "no"), new RefusedError(302, "moved"));
    await untilAnswered(what, call, ONCE);
    assert.equal(state.tries, 3);
  }
});

Deno.test("what is not the control plane's own word costs no log line, unless it is said to be final", async () => {
  for (const status of [400, 404, 413, 451]) {
    const { call, state } = failing(new RefusedError(status, "no"), new RefusedError(status, "no"));
    await untilAnswered("log", call, ONCE);
    assert.equal(state.tries, 3);
    const own = failing(new RefusedError(status, "no", true));
    await assert.rejects(untilAnswered("log", own.call, ONCE), RefusedError);
  }
  const { call, state } = failing(new RefusedError(403, "no"), new RefusedError(403, "no"));
  const isFinal = () => Promise.resolve(state.tries > 1);
  await assert.rejects(untilAnswered("log", call, { ...ONCE, isFinal }), RefusedError);
  assert.equal(state.tries, 2);
});

Deno.test("a call that got no answer in time is given more of it", async () => {
  const patience: number[] = [];
  await untilAnswered(
    "log",
    (factor) => {
      patience.push(factor);
      return patience.length < 3 ? Promise.reject(new TimedOutError("late")) : Promise.resolve();
    },
    ONCE,
  );
  assert.deepEqual(patience, [1, 2, 3]);
});

Deno.test("giving up ends the pause, but not a call that is under way", async () => {
  const stop = new AbortController();
  const reached = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  let tries = 0;
  const reporting = untilAnswered(
    "log",
    () => {
      tries++;
      reached.resolve();
      return answer.promise;
    },
    { ...ONCE, giveUp: stop.signal },
  );
  await reached.promise;
  stop.abort();
  answer.resolve();
  await reporting;

  await assert.rejects(
    untilAnswered("log", () => Promise.resolve(), { ...ONCE, giveUp: stop.signal }),
    GivenUpError,
  );
  const later = new AbortController();
  const failed = failing(...Array.from({ length: 100 }, () => new UnreachableError("gone")));
  const trying = untilAnswered(
    "log",
    () => {
      if (tries++ === 3) later.abort();
      return failed.call();
    },
    { ...ONCE, giveUp: later.signal },
  );
  await assert.rejects(trying, GivenUpError);
  assert(failed.state.tries < 100);
});

const FILTERED = new RefusedError(403, "HTTP status 403");

/** A patience with a clock and a control plane of the test's. */
function withClock() {
  const world = { nowMs: 0, served: true, asked: 0 };
  const isServed = () => {
    world.asked++;
    return Promise.resolve(world.served);
  };
  return { world, patience: new EntryPatience(isServed, () => world.nowMs) };
}

Deno.test("a refusal that is not the control plane's own is final after two minutes", async () => {
  const { world, patience } = withClock();
  for (world.nowMs = 0; world.nowMs < 120_000; world.nowMs += 15_000) {
    assert.equal(await patience.isFinal(FILTERED), false);
  }
  assert.equal(world.asked, 0);
  assert.equal(await patience.isFinal(FILTERED), true);
  patience.next(true);
  // The filter is known now.
  assert.equal(await patience.isFinal(FILTERED), false);
  world.nowMs += 10_000;
  assert.equal(await patience.isFinal(FILTERED), true);
  patience.next(true);
  // Those in between that are not refused at all say nothing about it.
  patience.next(false);
  assert.equal(await patience.isFinal(FILTERED), false);
  // One that got through in the end does.
  patience.next(false);
  assert.equal(await patience.isFinal(FILTERED), false);
  world.nowMs += 60_000;
  assert.equal(await patience.isFinal(FILTERED), false);
});

Deno.test("while the control plane does not answer otherwise either nothing is given up", async () => {
  const { world, patience } = withClock();
  world.served = false;
  for (const refusal of [FILTERED, new RefusedError(401, "Invalid agent credentials", true)]) {
    assert.equal(await patience.isFinal(refusal), false);
    world.nowMs += 3_600_000;
    assert.equal(await patience.isFinal(refusal), false);
    patience.next(false);
  }
});

Deno.test("the control plane's own 403 about an entry is final at once", async () => {
  const { world, patience } = withClock();
  const own = new RefusedError(403, "Forbidden", true);
  assert.equal(await patience.isFinal(own), true);
  world.served = false;
  assert.equal(await patience.isFinal(own), false, "it is about the node");
});
