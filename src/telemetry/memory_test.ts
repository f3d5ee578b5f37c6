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
  const text = await readKernelFiles(["/proc/meminfo"]);
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1]) * 1_024;
  const memory = readMemory();
  const tolerance = memory.totalBytes * 0.05;

  assert.equal(memory.totalBytes, bytes("MemTotal"));
  assert.ok(Math.abs(memory.availableBytes - bytes("MemAvailable")) < tolerance);
  assert.ok(Math.abs(memory.freeBytes - bytes("MemFree")) < tolerance);
});
