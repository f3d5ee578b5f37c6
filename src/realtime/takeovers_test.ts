import assert from "node:assert/strict";
import { Takeovers } from "./takeovers.ts";

const MINUTE_MS = 60_000;

Deno.test("sessions that are taken away again and again are noticed, and wait for minutes", () => {
  const takeovers = new Takeovers(() => 0.5);
  const ended = (nowMs: number) => takeovers.ended("io server disconnect", 1_000, nowMs);
  assert.deepEqual([0, 5_000, 15_000].map(ended), [undefined, undefined, undefined]);
  assert.equal(takeovers.isShared, false);
  assert.deepEqual([40_000, 200_000, 400_000, 600_000].map(ended), [
    45_000,
    90_000,
    180_000,
    225_000,
  ]);
  assert.equal(takeovers.isShared, true);
  // Whoever has it for long has it alone.
  assert.equal(takeovers.ended("io server disconnect", 10 * MINUTE_MS, 1_200_000), undefined);
  assert.equal(takeovers.isShared, false);
});

Deno.test("a control plane that restarts, and one that ends a session now and then, take nothing over", () => {
  const takeovers = new Takeovers();
  for (let i = 0; i < 20; i++) {
    assert.equal(takeovers.ended("transport close", 1_000, i * 1_000), undefined);
    assert.equal(takeovers.ended("io server disconnect", 1_000, i * MINUTE_MS), undefined);
  }
  assert.equal(takeovers.isShared, false);
});
