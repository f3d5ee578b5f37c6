import assert from "node:assert/strict";
import { UnreachableError } from "../control_plane/errors.ts";
import { CallStats } from "../control_plane/call_stats.ts";
import { Reachability } from "../control_plane/reachability.ts";
import type { Claim } from "../control_plane/schemas.ts";
import { Logger } from "../system/logger.ts";
import { claimTasks } from "./claim_loop.ts";

const logger = new Logger({ write: () => {} });

function taskOf(id: string): Claim {
  return { task: { id, type: "shell.exec", payload: {} }, outputTruncated: false };
}

Deno.test("tasks are claimed one after the other, never two at once, until the loop is ended", async () => {
  const stop = new AbortController();
  const taken: string[] = [];
  const asked: number[] = [];
  let open = 0;
  await claimTasks({
    api: {
      reachability: new Reachability(),
      claim: async (waitMs) => {
        assert.equal(++open, 1);
        asked.push(waitMs);
        await Promise.resolve();
        open--;
        return taskOf(`t${asked.length}`);
      },
    },
    waitMs: () => 90_000.4,
    random: () => 1,
    tasks: {
      full: false,
      take: ({ id }) => {
        taken.push(id);
        if (taken.length === 5) stop.abort();
        return true;
      },
    },
    logger,
    signal: stop.signal,
  });
  assert.deepEqual(taken, ["t1", "t2", "t3", "t4", "t5"]);
  assert.deepEqual(new Set(asked), new Set([30_000]), "whole milliseconds, 30 s at most");
});

Deno.test("nothing is claimed while the agent has enough to do, and no one worries", async () => {
  const stop = new AbortController();
  const stats = new CallStats(() => performance.now(), () => {});
  let looks = 0;
  await claimTasks({
    api: {
      reachability: new Reachability(),
      claim: () => {
        assert.equal(looks, 3, "two looks found it full");
        stop.abort();
        return Promise.resolve({ task: null, outputTruncated: false });
      },
    },
    waitMs: () => 15_000,
    tasks: {
      get full() {
        return ++looks < 3;
      },
      take: () => assert.fail("there is none"),
    },
    stats,
    logger,
    signal: stop.signal,
  });
  assert(stats.silentMs < 10_000);
});

Deno.test("an end while the claim is held is no failure", async () => {
  const stop = new AbortController();
  const held = Promise.withResolvers<void>();
  const loop = claimTasks({
    api: {
      reachability: new Reachability(),
      claim: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener("abort", () => reject(new Error("given up")));
          held.resolve();
        }),
    },
    waitMs: () => 15_000,
    tasks: { full: false, take: () => assert.fail("there is none") },
    logger,
    signal: stop.signal,
  });
  await held.promise;
  stop.abort();
  await loop;
});

Deno.test("a server that does not hold claims is not asked in circles", async () => {
  // Neither one that has nothing, nor one that gives out the same task for ever.
  for (const answer of [{ task: null, outputTruncated: false }, taskOf("known")]) {
    const stop = new AbortController();
    let claims = 0;
    const second = Promise.withResolvers<void>();
    const loop = claimTasks({
      api: {
        reachability: new Reachability(),
        claim: () => {
          if (++claims === 2) second.resolve();
          return Promise.resolve(answer);
        },
      },
      waitMs: () => 15_000,
      tasks: { full: false, take: () => false },
      logger,
      signal: stop.signal,
    });
    const startMs = performance.now();
    await second.promise;
    assert(performance.now() - startMs > 200);
    stop.abort();
    await loop;
    assert.equal(claims, 2);
  }
});

Deno.test("the first claim, and that after a failure, is held for a random part of the time", async () => {
  const stop = new AbortController();
  const asked: number[] = [];
  const answers = [
    taskOf("a"),
    taskOf("b"),
    new UnreachableError("gone"),
    taskOf("c"),
    taskOf("d"),
  ];
  const parts = [0.5, 1, 1, 0.25, 0];
  await claimTasks({
    api: {
      reachability: new Reachability(() => 0),
      claim: (waitMs) => {
        asked.push(waitMs);
        const answer = answers[asked.length - 1];
        if (asked.length === answers.length) stop.abort();
        if (answer instanceof Error || !answer) return Promise.reject(answer);
        return Promise.resolve(answer);
      },
    },
    waitMs: () => 15_000,
    tasks: { full: false, take: () => true },
    logger,
    signal: stop.signal,
    random: () => parts.shift() ?? NaN,
  });
  assert.deepEqual(asked, [7_500, 15_000, 15_000, 3_750, 13_500]);
});
