import assert from "node:assert/strict";
import { readDisk } from "./disk.ts";
import { runChild } from "../system/run_child.ts";

Deno.test("blocks reserved for root are neither used nor free", async () => {
  const blocks = { bsize: 4_096, blocks: 100, bfree: 70, bavail: 60 };
  assert.deepEqual(await readDisk("/srv", () => Promise.resolve(blocks)), {
    path: "/srv",
    totalBytes: 409_600,
    usedBytes: 122_880,
    freeBytes: 245_760,
    usedPercent: 30 / 90 * 100,
  });
});

Deno.test("blocks have the size of a fragment where there is one", async () => {
  const blocks = { bsize: 1_048_576, frsize: 512, blocks: 10, bfree: 5, bavail: 5 };
  assert.equal((await readDisk("/", () => Promise.resolve(blocks))).totalBytes, 5_120);
});

Deno.test("the figures are those of df", async () => {
  const disk = await readDisk();
  const { stdout: output } = await runChild(["df", "-B1", "--output=size,used,avail,pcent", "/"]);
  const figures = output.trim().split("\n").at(-1)?.match(/\d+/g)?.map(Number);
  const [size = 0, used = 0, free = 0, percent = 0] = figures ?? [];
  const tolerance = disk.totalBytes * 0.01;

  assert.equal(disk.totalBytes, size);
  assert.ok(Math.abs(disk.usedBytes - used) < tolerance, `${disk.usedBytes} used, not ${used}`);
  assert.ok(Math.abs(disk.freeBytes - free) < tolerance, `${disk.freeBytes} free, not ${free}`);
  assert.ok(Math.abs(Math.ceil(disk.usedPercent) - percent) <= 1, `not ${percent} %`);
});
