import assert from "node:assert/strict";
import { RefusedError } from "../control_plane/errors.ts";
import { EntryPatience } from "./entry_patience.ts";

const FILTERED = new RefusedError(403, "HTTP status 403");

/** A patience with a clock and a control plane of the test's. */
function withClock() {
  const world = { nowMs: 0, served: true, asked: 0 };
  const isServed = () => {
    world.asked++;
    return Promise.resolve(world.served);
  };
  return { world, patience: new EntryPatience(isServed, () => world.nowMs) };
}

Deno.test("a refusal that is not the control plane's own is final after two minutes", async () => {
  const { world, patience } = withClock();
  for (world.nowMs = 0; world.nowMs < 120_000; world.nowMs += 15_000) {
    assert.equal(await patience.isFinal(FILTERED), false);
  }
  assert.equal(world.asked, 0);
  assert.equal(await patience.isFinal(FILTERED), true);
  patience.next(true);
  // The filter is known now.
  assert.equal(await patience.isFinal(FILTERED), false);
  world.nowMs += 10_000;
  assert.equal(await patience.isFinal(FILTERED), true);
  patience.next(true);
  // Those in between that are not refused at all say nothing about it.
  patience.next(false);
  assert.equal(await patience.isFinal(FILTERED), false);
  // One that got through in the end does.
  patience.next(false);
  assert.equal(await patience.isFinal(FILTERED), false);
  world.nowMs += 60_000;
  assert.equal(await patience.isFinal(FILTERED), false);
});

Deno.test("while the control plane does not answer otherwise either nothing is given up", async () => {
  const { world, patience } = withClock();
  world.served = false;
  for (const refusal of [FILTERED, new RefusedError(401, "Invalid agent credentials", true)]) {
    assert.equal(await patience.isFinal(refusal), false);
    world.nowMs += 3_600_000;
    assert.equal(await patience.isFinal(refusal), false);
    patience.next(false);
  }
});

Deno.test("the control plane's own 403 about an entry is final at once", async () => {
  const { world, patience } = withClock();
  const own = new RefusedError(403, "Forbidden", true);
  assert.equal(await patience.isFinal(own), true);
  world.served = false;
  assert.equal(await patience.isFinal(own), false, "it is about the node");
});
