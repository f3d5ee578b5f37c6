import assert from "node:assert/strict";
import { LogThrottle } from "./log_throttle.ts";

Deno.test("each key is let through once a minute", () => {
  let now = 0;
  const throttle = new LogThrottle(() => now);
  assert.deepEqual([throttle.allows("a"), throttle.allows("b"), throttle.allows("a")], [
    true,
    true,
    false,
  ]);
  now = 59_999;
  assert.equal(throttle.allows("a"), false);
  now = 60_000;
  assert.equal(throttle.allows("a"), true);
  throttle.reset();
  assert.equal(throttle.allows("a"), true);
});

Deno.test("keys from outside do not fill the memory, nor the log", () => {
  const throttle = new LogThrottle(() => 0);
  const through = Array.from({ length: 1_000 }, (_, key) => throttle.allows(`${key}`)).filter(
    Boolean,
  );
  assert.equal(through.length, 100);
});
