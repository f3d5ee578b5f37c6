import assert from "node:assert/strict";
import { Backoff } from "./backoff.ts";

Deno.test("pauses are drawn from 0 to a bound that doubles up to its limit", () => {
  const highest = new Backoff({ firstMs: 100, maxMs: 1_000, random: () => 1 });
  assert.deepEqual(Array.from({ length: 6 }, () => highest.next()), [
    100,
    200,
    400,
    800,
    1_000,
    1_000,
  ]);
  for (let i = 0; i < 2_000; i++) assert.equal(highest.next(), 1_000);
  highest.reset();
  assert.equal(highest.next(), 100);
  const lowest = new Backoff({ firstMs: 100, maxMs: 1_000, random: () => 0 });
  assert.equal(lowest.next(), 0);
});
