import assert from "node:assert/strict";
import { Slots } from "./slots.ts";

Deno.test("no more than so many are at it at once, in the order in which they came", async () => {
  const slots = new Slots(3);
  const begun: number[] = [];
  let busy = 0;
  const work = Array.from({ length: 20 }, (_, i) =>
    slots.use(async () => {
      begun.push(i);
      assert(++busy <= 3);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
      busy--;
      return i;
    }));
  assert.deepEqual(await Promise.all(work), Array.from({ length: 20 }, (_, i) => i));
  assert.deepEqual(begun, Array.from({ length: 20 }, (_, i) => i));
});

Deno.test("work that fails gives its place to the next", async () => {
  const slots = new Slots(1);
  const failing = slots.use(() => Promise.reject(new Error("no")));
  const next = slots.use(() => Promise.resolve("yes"));
  await assert.rejects(failing, /no/);
  assert.equal(await next, "yes");
});
