import assert from "node:assert/strict";
import { FakeSystemd } from "./_test_fake_systemd.ts";
import { endUnit, hasNone } from "./end_unit.ts";

const UNIT = "noderax-task-1.service";
const [SIGKILL, SIGTERM] = [9, 15];

Deno.test("a unit is asked to end before it is killed, but for one that gets no grace", async () => {
  const polite = new FakeSystemd();
  polite.begin();
  assert.equal(await endUnit(polite, UNIT), 0);
  assert.deepEqual(polite.signals, [SIGTERM]);
  const bomb = new FakeSystemd();
  bomb.begin();
  assert.equal(await endUnit(bomb, UNIT, 0), 0);
  assert.deepEqual(bomb.signals, [SIGKILL]);
});

Deno.test("the processes of a unit are listed only where nobody counts them", async () => {
  let lists = 0;
  const counting = (count: bigint) => ({
    property: () => Promise.resolve(count),
    processes: () => {
      lists++;
      return Promise.resolve([1]);
    },
  });
  assert.equal(await hasNone(counting(0n), UNIT), true);
  assert.equal(await hasNone(counting(4096n), UNIT), false);
  assert.equal(lists, 0);
  assert.equal(await hasNone(counting(2n ** 64n - 1n), UNIT), false);
  assert.equal(lists, 1);
});
