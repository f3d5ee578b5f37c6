import assert from "node:assert/strict";
import { msToBeat } from "./periodic.ts";

Deno.test("what has one interval falls together, whenever it began and however long it took", () => {
  const wakes = (startMs: number, takesMs: number) => {
    const times: number[] = [];
    for (let nowMs = startMs; times.length < 4; nowMs += takesMs) {
      nowMs += msToBeat(2_000, nowMs);
      times.push(nowMs);
    }
    return times;
  };
  assert.deepEqual(wakes(100, 3), [2_000, 4_000, 6_000, 8_000]);
  assert.deepEqual(wakes(900, 250), [2_000, 4_000, 6_000, 8_000]);
  assert.deepEqual(wakes(1_500, 0), [4_000, 6_000, 8_000, 10_000]);
  assert.equal(msToBeat(10_000, 4_000), 6_000);
});
