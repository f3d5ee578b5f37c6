import assert from "node:assert/strict";
import { join } from "@std/path";
import type { BusValue } from "../system/bus_message.ts";
import { countIn, UnitWatch } from "./unit_watch.ts";

const GROUP = "/noderax.slice/noderax-task-1.service";
const MEMORY = 512 * 2 ** 20;

/** What systemd says of a unit that has used some of what it may. */
const PROPERTIES = new Map<string, BusValue>(Object.entries({
  ControlGroup: GROUP,
  TasksMax: 64n,
  MemoryMax: BigInt(MEMORY),
  CPUUsageNSec: 1_500_000_000n,
  MemoryCurrent: 2n ** 64n - 1n,
  TasksCurrent: 3n,
}));

/** Looks at a unit whose control group has these files; gives its usage, and the bounds it has met. */
async function look(files: Record<string, string>) {
  const root = await Deno.makeTempDir({ prefix: "cgroup_" });
  const met: string[] = [];
  const property = (_unit: string, _face: string, name: string) => {
    const value = PROPERTIES.get(name);
    return value === undefined
      ? Promise.reject(new Error(`there is no ${name}`))
      : Promise.resolve(value);
  };
  try {
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(join(root, path, ".."), { recursive: true });
      await Deno.writeTextFile(join(root, path), text);
    }
    using watch = new UnitWatch({ property }, "a unit", (bound) => met.push(bound), root);
    return { usage: await watch.usage(), met: [...new Set(met)] };
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("a unit whose processes were killed for want of memory has met its bound", async () => {
  const events = (kills: number) => `low 0\nhigh 0\nmax 12\noom 1\noom_kill ${kills}\n`;
  const path = `${GROUP}/memory.events`;
  assert.deepEqual((await look({ [path]: events(0) })).met, []);
  assert.deepEqual(
    (await look({ [path]: events(1) })).met,
    ["the memory limit of 512 MiB (task_memory_max)"],
  );
});

Deno.test("a unit that was refused a process has met its bound, whatever the control groups are", async () => {
  for (const path of [`${GROUP}/pids.events`, `pids${GROUP}/pids.events`]) {
    assert.deepEqual((await look({ [path]: "max 0\n" })).met, []);
    const { met } = await look({ [path]: "max 7\n" });
    assert.deepEqual(met, ["the process limit of 64 (task_pids_max)"]);
  }
});

Deno.test("what a unit uses is told as far as the machine counts it", async () => {
  assert.deepEqual((await look({})).usage, { cpuMs: 1_500, pids: 3 });
  assert.equal(countIn("oom 3\noom_kill 2\n", "oom_kill"), 2);
});
