import assert from "node:assert/strict";
import { type CoreTimes, CpuMeter } from "./cpu.ts";
import { readKernelFiles } from "./kernel_files.ts";

function times(...cores: number[]): CoreTimes {
  return { cores: cores.length, busyMs: cores.reduce((sum, busyMs) => sum + busyMs, 0) };
}

/** A meter whose clock goes on by a second each time somebody looks at it. */
function meter(...looks: CoreTimes[]) {
  let nowMs = 0;
  return new CpuMeter({ times: () => looks.shift() ?? times(), now: () => nowMs += 1_000 });
}

Deno.test("usage is the busy time of all cores over the time that passed", async () => {
  const idle = times(5_000, 70_000);
  const busy = times(5_400, 70_600);
  // Two looks at the clock lie between two readings: 2 cores * 2 s.
  assert.deepEqual(await meter(idle, busy).read(), { usagePercent: 25 });
});

Deno.test("each reading measures the time since the one before", async () => {
  const cpu = meter(times(0), times(2_000), times(2_000), times(3_000));
  assert.equal((await cpu.read()).usagePercent, 100);
  assert.equal((await cpu.read()).usagePercent, 0);
  assert.equal((await cpu.read()).usagePercent, 50);
});

Deno.test("when a core goes or comes it is measured anew", async () => {
  const cpu = meter(times(9_000, 9_000), times(9_100), times(10_100));
  assert.equal((await cpu.read()).usagePercent, 50);
});

Deno.test("an abort ends the wait of the first reading", async () => {
  const stop = new AbortController();
  const reading = new CpuMeter({ now: () => 0 }).read(stop.signal);
  stop.abort();
  await assert.rejects(reading, { name: "AbortError" });
});

Deno.test("the usage is the one that the kernel counts", async () => {
  const cpu = new CpuMeter();
  await cpu.read();
  // The two cannot look at the same moments: what else the machine does may come in between.
  const differences: number[] = [];
  while (differences.length < 5 && !differences.some((difference) => difference < 12)) {
    const before = await kernelTimes();
    await cpu.read();
    // Half a second of work, so that there is something to measure.
    const end = performance.now() + 500;
    while (performance.now() < end);
    const { usagePercent } = await cpu.read();
    const after = await kernelTimes();
    const expected = (after.busy - before.busy) / (after.all - before.all) * 100;
    differences.push(Math.abs(usagePercent - expected));
  }
  assert.ok(Math.min(...differences) < 12, `off by ${differences.join(", ")}`);
});

/** In ticks, of all cores: user nice system idle iowait irq softirq steal. */
async function kernelTimes() {
  const [line = ""] = (await readKernelFiles(["/proc/stat"])).split("\n");
  const times = line.split(/\s+/).slice(1, 9).map(Number);
  const [user = 0, nice = 0, system = 0, , , irq = 0] = times;
  return { busy: user + nice + system + irq, all: times.reduce((sum, time) => sum + time, 0) };
}
