import assert from "node:assert/strict";
import { FakeSystemd } from "./_test_fake_systemd.ts";
import { BusError } from "../system/sd_bus.ts";
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
  const asked: string[] = [];
  const counting = (count: bigint | BusError, group = "/noderax.slice/it") => ({
    property: (_unit: string, _face: string, name: string) => {
      asked.push(name);
      if (name === "ControlGroup") return Promise.resolve(group);
      return count instanceof BusError ? Promise.reject(count) : Promise.resolve(count);
    },
    processes: () => {
      asked.push("list");
      return Promise.resolve([1]);
    },
  });
  const asks = async (...of: Parameters<typeof counting>) => {
    asked.length = 0;
    return [await hasNone(counting(...of), UNIT), ...asked];
  };
  assert.deepEqual(await asks(1n, ""), [true, "ControlGroup"]);
  assert.deepEqual(await asks(0n), [true, "ControlGroup", "TasksCurrent"]);
  assert.deepEqual(await asks(4096n), [false, "ControlGroup", "TasksCurrent"]);
  for (const unknown of [2n ** 64n - 1n, new BusError("", "there is none")]) {
    assert.deepEqual(await asks(unknown), [false, "ControlGroup", "TasksCurrent", "list"]);
  }
});
