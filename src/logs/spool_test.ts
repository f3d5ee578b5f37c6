import assert from "node:assert/strict";
import { join } from "@std/path";
import type { LogStream } from "../control_plane/schemas.ts";
import {
  filesIn,
  linesOf,
  numbered,
  pushNumbers,
  SMALL,
  takeAll,
  withFolder,
} from "./_test_spool.ts";
import type { Batch } from "./batch.ts";
import { Spool } from "./spool.ts";

Deno.test("lines come out in order: from memory, from disk, and while they go in", () =>
  withFolder(async (folder) => {
    await using spool = new Spool(join(folder, "t"), { limits: SMALL });
    await pushNumbers(spool, 0, 100);
    assert((await filesIn(folder)).length > 5, "the backlog is in several files");
    const taken: Batch[] = [];
    for (let i = 100; i < 200; i++) {
      // Two out, one in: the backlog shrinks, from disk to memory.
      await spool.push("stdout", `${i}\n`, i);
      for (let n = 0; n < 2; n++) {
        const batch = await spool.shift();
        if (!batch) continue;
        taken.push(batch);
        spool.delivered(batch.stream, batch.end);
      }
    }
    taken.push(...await takeAll(spool));
    assert.deepEqual(linesOf(taken), numbered(0, 200));
    assert.deepEqual(taken.map(({ atMs }) => atMs), Array.from({ length: 200 }, (_, i) => i));
    await pushNumbers(spool, 200, 220);
    assert.deepEqual(linesOf(await takeAll(spool)), numbered(200, 220));
  }));

Deno.test("random pushes and takes of three streams keep the order of arrival", async () => {
  for (let round = 0; round < 12; round++) {
    await withFolder(async (folder) => {
      const limits = { memory: 300 * round, segment: 100 + 200 * round, total: 1e9 };
      await using spool = new Spool(join(folder, "t"), { limits });
      const expected: string[] = [];
      const taken: Batch[] = [];
      for (let i = 0; i < 150; i++) {
        const stream: LogStream = i % 3 === 0 ? "stderr" : i % 7 === 0 ? "system" : "stdout";
        const line = `${i} 😀é`.repeat(Math.ceil(Math.random() * 4));
        expected.push(`${stream}: ${line}`);
        await spool.push(stream, `${line}\n`, i);
        if (Math.random() < 0.4) {
          const batch = await spool.shift();
          if (batch) taken.push(batch);
        }
      }
      assert.deepEqual(linesOf([...taken, ...await takeAll(spool)]), expected);
    });
  }
});

Deno.test("files are for the owner alone, go as they are delivered, and go at the end", () =>
  withFolder(async (folder) => {
    const spool = new Spool(join(folder, "t"), { limits: SMALL });
    await pushNumbers(spool, 0, 200);
    const before = await filesIn(folder);
    for (const name of before) {
      assert.equal(((await Deno.stat(join(folder, name))).mode ?? 0) & 0o777, 0o600, name);
    }
    for (let i = 0; i < 150; i++) {
      const batch = await spool.shift();
      if (batch) spool.delivered(batch.stream, batch.end);
    }
    await spool.shift();
    const after = await filesIn(folder);
    assert(after.length <= before.length / 2, `${before.length} files, then ${after.length}`);
    assert.equal(((await Deno.stat(join(folder, "t.cursor"))).mode ?? 0) & 0o777, 0o600);
    await spool.discard();
    assert.deepEqual(await filesIn(folder), []);
  }));

Deno.test("over the bound the oldest lines on disk make room, a note counts them, the tail is kept", () =>
  withFolder(async (folder) => {
    await using spool = new Spool(join(folder, "t"), { limits: { ...SMALL, total: 2_000 } });
    await pushNumbers(spool, 0, 500);
    const lines = linesOf(await takeAll(spool));
    const note = lines.findIndex((line) => line.startsWith("system: "));
    const leftOut = Number(/\[… (\d+) lines left out/.exec(lines[note] ?? "")?.[1]);
    assert(leftOut > 0);
    assert.deepEqual(lines.slice(0, note), numbered(0, note), "the head");
    assert.deepEqual(lines.slice(note + 1), numbered(note + leftOut, 500), "the tail");
    assert.equal(spool.cursor.leftOut, 0);
  }));

Deno.test("a backlog file that vanishes is told of like lines given up", () =>
  withFolder(async (folder) => {
    const errors: unknown[] = [];
    await using spool = new Spool(join(folder, "t"), {
      limits: SMALL,
      onDiskError: (error) => errors.push(error),
    });
    await pushNumbers(spool, 0, 200);
    for (const name of await filesIn(folder)) await Deno.remove(join(folder, name));
    const lines = linesOf(await takeAll(spool));
    const leftOut = lines.filter((line) => line.startsWith("system: "))
      .map((line) => Number(/(\d+) lines left out/.exec(line)?.[1]));
    const rest = lines.filter((line) => !line.startsWith("system: "));
    assert.deepEqual(rest, numbered(0, rest.length));
    assert.equal(rest.length + leftOut.reduce((sum, n) => sum + n, 0), 200);
    assert(errors.length > 0);
  }));

Deno.test("a disk that refuses costs neither lines nor their order, and is used again later", () =>
  withFolder(async (folder) => {
    const errors: unknown[] = [];
    const state = join(folder, "state");
    await Deno.mkdir(state);
    await using spool = new Spool(join(state, "t"), {
      limits: SMALL,
      onDiskError: (error) => errors.push(error),
    });
    const gone = join(folder, "gone");
    await pushNumbers(spool, 0, 20);
    await spool[Symbol.asyncDispose]();
    await Deno.rename(state, gone);
    await pushNumbers(spool, 20, 60);
    assert(errors.length > 0);
    await Deno.rename(gone, state);
    const failures = errors.length;
    await pushNumbers(spool, 60, 80);
    assert.deepEqual(linesOf(await takeAll(spool)), numbered(0, 80));
    await pushNumbers(spool, 80, 140);
    assert.deepEqual(linesOf(await takeAll(spool)), numbered(80, 140));
    assert.equal(errors.length, failures, "nothing fails any more");
  }));

Deno.test("without a disk the oldest lines make room in memory", () =>
  withFolder(async (folder) => {
    const limits = { memory: 1_000, segment: 300, total: 10_000 };
    await using spool = new Spool(join(folder, "missing/t"), { limits });
    await pushNumbers(spool, 0, 300);
    const lines = linesOf(await takeAll(spool));
    const note = lines.findIndex((line) => line.startsWith("system: "));
    const leftOut = Number(/\[… (\d+) lines left out/.exec(lines[note] ?? "")?.[1]);
    assert.deepEqual(lines.slice(0, note), numbered(0, note));
    assert.deepEqual(lines.slice(note + 1), numbered(note + leftOut, 300));
  }));

Deno.test("the newest file stays, however small the bound", () =>
  withFolder(async (folder) => {
    const limits = { memory: 0, segment: 10_000, total: 100 };
    await using spool = new Spool(join(folder, "t"), { limits });
    await pushNumbers(spool, 0, 200);
    assert.deepEqual(linesOf(await takeAll(spool)), numbered(0, 200));
  }));

Deno.test("a delivery never goes back", () =>
  withFolder(async (folder) => {
    await using spool = new Spool(join(folder, "t"));
    await spool.push("system", "a\nb\n", 0);
    spool.delivered("system", 4);
    spool.delivered("system", 2);
    assert.equal(spool.cursor.delivered.system, 4);
  }));
