import assert from "node:assert/strict";
import { readKernelFiles } from "./kernel_files.ts";
import { readMemory } from "./memory.ts";

Deno.test("memory that the kernel can take back counts as available", () => {
  assert.deepEqual(readMemory({ total: 1_000, free: 100, available: 600 }), {
    totalBytes: 1_000,
    usedBytes: 400,
    freeBytes: 100,
    usedPercent: 40,
    availableBytes: 600,
  });
});

Deno.test("more available than there is means that nothing is used", () => {
  const { usedBytes, usedPercent } = readMemory({ total: 1_000, free: 100, available: 2_000 });
  assert.deepEqual([usedBytes, usedPercent], [0, 0]);
});

Deno.test("the figures are those of /proc/meminfo", async () => {
  // The two cannot look at the same moment: what else the machine does may come in between.
  const differences: number[] = [];
  while (differences.length < 5 && !differences.some((difference) => difference < 0.05)) {
    const text = await readKernelFiles(["/proc/meminfo"]);
    const bytes = (name: string) =>
      Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1]) * 1_024;
    const { totalBytes, availableBytes, freeBytes } = readMemory();
    assert.equal(totalBytes, bytes("MemTotal"));
    const available = Math.abs(availableBytes - bytes("MemAvailable"));
    const free = Math.abs(freeBytes - bytes("MemFree"));
    differences.push(Math.max(available, free) / totalBytes);
  }
  assert.ok(Math.min(...differences) < 0.05, `off by ${differences.join(", ")}`);
});
