import assert from "node:assert/strict";
import { gatheringMs, KEEP_ORDER_ENTRIES, SHOWN_ENTRIES } from "./gathering.ts";

Deno.test("a quick command's lines go out at once, then lines wait 50 ms and more", () => {
  assert.equal(gatheringMs(0), 0);
  assert.equal(gatheringMs(4), 0);
  assert.equal(gatheringMs(5), 50);
});

Deno.test("the wait only grows while the budget lasts, to 2 s from the 60th entry on", () => {
  for (let entries = 1; entries < SHOWN_ENTRIES; entries++) {
    assert(gatheringMs(entries) >= gatheringMs(entries - 1), `at ${entries}`);
  }
  assert(gatheringMs(59) < 2_000);
  for (let entries = 60; entries < 80; entries++) assert.equal(gatheringMs(entries), 2_000);
  assert(gatheringMs(KEEP_ORDER_ENTRIES) < 250, "it still feels live where the order is kept");
});

Deno.test("a build that prints for ten minutes is seen to its end", () => {
  let totalMs = 0;
  for (let entries = 0; entries < SHOWN_ENTRIES; entries++) totalMs += gatheringMs(entries);
  assert(totalMs >= 600_000, `the budget lasts ${totalMs} ms`);
  assert.equal(gatheringMs(SHOWN_ENTRIES), 2_000, "what nobody will see");
});
