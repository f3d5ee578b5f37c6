import assert from "node:assert/strict";
import { join } from "@std/path";
import {
  filesIn,
  leftOutOf,
  linesOf,
  numbered,
  pushNumbers,
  takeAll,
  withFolder,
} from "./_test_spool.ts";
import { bytesOf, LogMemory } from "./log_memory.ts";
import { Spool } from "./spool.ts";

const KIB = 1024;

Deno.test("text takes two bytes for each unit if one of them is wide", () => {
  assert.equal(bytesOf("aé"), 2);
  assert.equal(bytesOf("a日"), 4);
});

Deno.test("lines that find no memory stay on disk, in order, and all memory is given back", () =>
  withFolder(async (folder) => {
    const memory = new LogMemory(() => 300 * KIB);
    const full = new Spool(join(folder, "full"), { memory });
    const spool = new Spool(join(folder, "t"), { memory });
    await pushNumbers(spool, 0, 1_000);
    assert.equal(memory.used, 2 * 192 * KIB, "nothing but what each task takes at least");
    assert.deepEqual(linesOf(await takeAll(spool)), numbered(0, 1_000));
    for (const each of [full, spool]) await each.discard();
    assert.equal(memory.used, 0);
    assert.deepEqual(await filesIn(folder), []);
  }));

Deno.test("without a disk the tasks together keep within the memory, and each its newest lines", () =>
  withFolder(async (folder) => {
    const limit = 3 * 192 * KIB + 300_000;
    const memory = new LogMemory(() => limit);
    const spools = ["a", "b", "c"].map((name) => new Spool(join(folder, "gone", name), { memory }));
    const lines = 5_000;
    for (const spool of spools) {
      await pushNumbers(spool, 0, lines);
      assert(memory.used <= limit + 1_000, `${memory.used} bytes`);
    }
    for (const spool of spools) {
      const taken = linesOf(await takeAll(spool));
      const printed = taken.filter((line) => line.startsWith("stdout: "));
      assert.equal(printed.at(-1), `stdout: ${lines - 1}`);
      assert.equal(printed.length + leftOutOf(taken), lines);
      await spool.discard();
    }
    assert.equal(memory.used, 0);
  }));
