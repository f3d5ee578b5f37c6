import assert from "node:assert/strict";
import { OnceAMinute } from "./once_a_minute.ts";

Deno.test("each key is let through once a minute", () => {
  let now = 0;
  const told = new OnceAMinute(() => now);
  assert.deepEqual([told.allows("a"), told.allows("b"), told.allows("a")], [true, true, false]);
  now = 59_999;
  assert.equal(told.allows("a"), false);
  now = 60_000;
  assert.equal(told.allows("a"), true);
  told.reset();
  assert.equal(told.allows("a"), true);
});

Deno.test("keys from outside do not fill the memory, nor the log", () => {
  const told = new OnceAMinute(() => 0);
  const through = Array.from({ length: 1_000 }, (_, key) => told.allows(`${key}`)).filter(Boolean);
  assert.equal(through.length, 100);
});
