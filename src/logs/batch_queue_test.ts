import assert from "node:assert/strict";
import type { Batch } from "./batch.ts";
import { BatchQueue } from "./batch_queue.ts";

function batch(number: number): Batch {
  return { stream: "stdout", atMs: number, text: "x\n", end: 2 * number };
}

Deno.test("batches come out in the order in which they went in, and cost nothing any more", () => {
  const queue = new BatchQueue();
  let pushed = 0;
  let shifted = 0;
  for (let round = 0; round < 2_000; round++) {
    for (let i = Math.random() * 6; i > 0; i--) queue.push(batch(pushed++));
    for (let i = Math.random() * 6; i > 0 && !queue.empty; i--) {
      assert.equal(queue.shift()?.atMs, shifted++);
    }
    assert.equal(queue.empty, pushed === shifted);
  }
  while (!queue.empty) assert.equal(queue.shift()?.atMs, shifted++);
  assert.equal(shifted, pushed);
  assert.equal(queue.bytes, 0);
  assert.equal(queue.shift(), undefined);
});

Deno.test("a segment full of short lines is taken in no time", () => {
  const queue = new BatchQueue();
  for (let i = 0; i < 160_000; i++) queue.push(batch(i));
  const startMs = performance.now();
  while (queue.shift());
  // Half a minute with `Array.shift`.
  assert(performance.now() - startMs < 10_000);
});
