import assert from "node:assert/strict";
import { join } from "@std/path";
import { countIn } from "./group_files.ts";
import { UnitWatch } from "./unit_watch.ts";

const GROUP = "/noderax.slice/noderax-task-1.service";
const MEMORY = 512 * 2 ** 20;

/** Looks at a unit whose control group has these files; gives its usage, and the bounds it has met. */
async function look(files: Record<string, string>, group = GROUP) {
  const root = await Deno.makeTempDir({ prefix: "cgroup_" });
  const met: string[] = [];
  const property = () => Promise.resolve(group);
  try {
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(join(root, path, ".."), { recursive: true });
      await Deno.writeTextFile(join(root, path), text);
    }
    using watch = new UnitWatch({ property }, "a unit", ({ text }) => met.push(text), root);
    await watch.usage();
    return { usage: await watch.usage(), met };
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("a unit whose processes were killed for want of memory has met its bound, whatever the control groups are", async () => {
  const places = [
    { events: `${GROUP}/memory.events`, limit: `${GROUP}/memory.max` },
    { events: `memory${GROUP}/memory.oom_control`, limit: `memory${GROUP}/memory.limit_in_bytes` },
  ];
  for (const { events, limit } of places) {
    const metAfter = async (kills: number) => {
      const text = `under_oom 0\noom 1\noom_kill ${kills}\n`;
      return (await look({ [events]: text, [limit]: `${MEMORY}\n` })).met;
    };
    assert.deepEqual(await metAfter(0), []);
    assert.deepEqual(await metAfter(1), ["the memory limit of 512 MiB (task_memory_max)"]);
  }
});

Deno.test("a unit whose process was killed because the machine had too little memory has met no bound", async () => {
  const { met } = await look({
    [`${GROUP}/memory.events`]: "oom 0\noom_kill 1\n",
    [`${GROUP}/memory.max`]: `${MEMORY}\n`,
  });
  assert.deepEqual(met, []);
});

Deno.test("what systemd does not answer once is asked for again", async () => {
  let asked = 0;
  const property = () =>
    asked++ === 0 ? Promise.reject(new Error("away")) : Promise.resolve("/no group");
  using watch = new UnitWatch({ property }, "a unit", () => {});
  for (let times = 0; times < 3; times++) await watch.usage();
  assert.equal(asked, 2);
});

Deno.test("a unit that was refused a process has met its bound, whatever the control groups are", async () => {
  for (const folder of [GROUP, `pids${GROUP}`]) {
    const metAfter = async (times: number) =>
      (await look({ [`${folder}/pids.events`]: `max ${times}\n`, [`${folder}/pids.max`]: "64\n" }))
        .met;
    assert.deepEqual(await metAfter(0), []);
    assert.deepEqual(await metAfter(7), ["the process limit of 64 (task_pids_max)"]);
  }
  const files = { [`${GROUP}/pids.events`]: "max 7\n", [`${GROUP}/pids.max`]: "max\n" };
  assert.deepEqual((await look(files)).met, [], "it is another's bound");
});

Deno.test("what a unit uses is told as far as the kernel counts it, peaks first", async () => {
  assert.deepEqual((await look({})).usage, {});
  const stat = "usage_usec 1500000\nuser_usec 1\n";
  const v2 = {
    [`${GROUP}/cpu.stat`]: stat,
    [`${GROUP}/memory.current`]: "4096\n",
    [`${GROUP}/pids.current`]: "3\n",
  };
  assert.deepEqual((await look(v2)).usage, { cpuMs: 1_500, memoryBytes: 4096, pids: 3 });
  const peaks = { ...v2, [`${GROUP}/memory.peak`]: "8192\n", [`${GROUP}/pids.peak`]: "5\n" };
  assert.deepEqual((await look(peaks)).usage, { cpuMs: 1_500, memoryBytes: 8192, pids: 5 });
  const v1 = {
    [`cpuacct${GROUP}/cpuacct.usage`]: "2500000000\n",
    [`memory${GROUP}/memory.max_usage_in_bytes`]: "12288\n",
    [`pids${GROUP}/pids.current`]: "7\n",
  };
  assert.deepEqual((await look(v1)).usage, { cpuMs: 2_500, memoryBytes: 12_288, pids: 7 });
  const both = { ...v1, [`unified${GROUP}/cpu.stat`]: stat };
  assert.deepEqual((await look(both)).usage, { cpuMs: 1_500, memoryBytes: 12_288, pids: 7 });
  assert.equal(countIn("oom 3\noom_kill 2\n", "oom_kill"), 2);
});

Deno.test("a unit without a control group is not taken for the whole machine", async () => {
  for (const group of ["", "/"]) {
    const { usage, met } = await look(
      { "cpu.stat": "usage_usec 1\n", "pids.events": "max 1\n" },
      group,
    );
    assert.deepEqual([usage, met], [{}, []]);
  }
});
