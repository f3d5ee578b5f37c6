import assert from "node:assert/strict";
import { RefusedError, TimedOutError, UnreachableError } from "../control_plane/errors.ts";
import { Reachability } from "../control_plane/reachability.ts";
import { Logger } from "../system/logger.ts";
import { GivenUpError, untilAnswered } from "./task_reporter.ts";

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
