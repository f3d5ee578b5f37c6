import assert from "node:assert/strict";
import { batchWaitMs, ROWS, SHOWN_ENTRIES } from "./batch_policy.ts";

Deno.test("the first lines go out at once, each in a row of its own", () => {
  for (let entries = 0; entries < ROWS; entries++) assert.equal(batchWaitMs(entries), 0);
});

Deno.test("then the wait only grows while the budget lasts, from 2 s to a minute", () => {
  assert.equal(batchWaitMs(ROWS), 2_000);
  for (let entries = 1; entries < SHOWN_ENTRIES; entries++) {
    assert(batchWaitMs(entries) >= batchWaitMs(entries - 1), `at ${entries}`);
    assert(batchWaitMs(entries) <= 60_000);
  }
  assert.equal(batchWaitMs(SHOWN_ENTRIES), 2_000, "what nobody will see");
});

Deno.test("a build that prints for nearly half an hour is seen to its end", () => {
  let totalMs = 0;
  for (let entries = 0; entries < SHOWN_ENTRIES; entries++) totalMs += batchWaitMs(entries);
  assert(totalMs >= 1_700_000, `the budget lasts ${totalMs} ms`);
});
