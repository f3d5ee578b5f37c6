import assert from "node:assert/strict";
import { join } from "@std/path";
import type { LogStream } from "../control_plane/schemas.ts";
import {
  append,
  appendNumbers,
  filesIn,
  leftOutOf,
  numbered,
  SMALL,
  take,
  takeAll,
  withFolder,
  withTinyDisk,
} from "./_test_spool.ts";
import { ChunkQueue, LogMemory, type QueuedChunk, Spool } from "./spool.ts";
import { Gap } from "./spool_index.ts";

const KIB = 1024;

/** Checks that all before a number and all behind another came, and that a gap counts what did not. */
function assertOneGap(taken: string[], count: number): void {
  const gap = taken.findIndex((each) => each.startsWith("gap: "));
  const leftOut = leftOutOf(taken);
  assert(gap > 0 && leftOut > 0, "a head, and a gap behind it");
  assert.deepEqual(taken.slice(0, gap), numbered(0, gap), "the head");
  assert.deepEqual(taken.slice(gap + 1), numbered(gap + leftOut, count), "the tail");
}

Deno.test("bytes come out in order: from memory, from disk, and while they go in", () =>
  withFolder(async (folder) => {
    await using spool = new Spool(join(folder, "t"), { limits: SMALL });
    await appendNumbers(spool, 0, 100);
    const taken: unknown[] = [];
    for (let i = 100; i < 200; i++) {
      // Two out, one in: the backlog shrinks, from disk to memory.
      await append(spool, "stdout", `${i}\n`, i);
      for (let n = 0; n < 2; n++) {
        const next = await take(spool);
        if (next !== undefined) taken.push(next);
      }
    }
    const all = [...taken.map((each) => String(each).trimEnd()), ...await takeAll(spool)];
    assert.deepEqual(all, numbered(0, 200));
    await appendNumbers(spool, 200, 220);
    assert.deepEqual(await takeAll(spool), numbered(200, 220));
    assert.equal(spool.unreadBytes, 0);
  }));

Deno.test("random bytes of three streams keep their order, their times and every byte", async () => {
  for (let round = 0; round < 12; round++) {
    await withFolder(async (folder) => {
      const limits = { step: 100 + 200 * round, total: 1e9 };
      await using spool = new Spool(join(folder, "t"), { limits });
      const expected: unknown[] = [];
      const taken: unknown[] = [];
      const takeOne = async () => {
        using chunk = await spool.next() as Exclude<Awaited<ReturnType<Spool["next"]>>, Gap>;
        if (!chunk) return false;
        taken.push([chunk.stream, chunk.atMs, [...chunk.bytes]]);
        return true;
      };
      for (let i = 0; i < 150; i++) {
        const stream: LogStream = i % 3 === 0 ? "stderr" : i % 7 === 0 ? "system" : "stdout";
        const bytes = crypto.getRandomValues(new Uint8Array(Math.ceil(Math.random() * 60)));
        expected.push([stream, i, [...bytes]]);
        await spool.append(stream, bytes, i);
        if (Math.random() < 0.4) await takeOne();
      }
      while (await takeOne());
      assert.deepEqual(taken, expected);
    });
  }
});

Deno.test("what was printed stands in a file a stream as it is, for the owner alone, until it is discarded", () =>
  withFolder(async (folder) => {
    const spool = new Spool(join(folder, "t"));
    assert.deepEqual(await filesIn(folder), [], "nothing without output");
    const bytes = Uint8Array.of(0, 255, 13, 10, 195);
    await spool.append("stdout", bytes, 1);
    assert.deepEqual(await filesIn(folder), ["t.index", "t.stdout"]);
    await append(spool, "stderr", "oops", 2);
    await append(spool, "stdout", "more", 3);
    for (const name of await filesIn(folder)) {
      assert.equal(((await Deno.stat(join(folder, name))).mode ?? 0) & 0o777, 0o600, name);
    }
    const stdout = await Deno.readFile(join(folder, "t.stdout"));
    assert.deepEqual([...stdout], [...bytes, ...new TextEncoder().encode("more")]);
    assert.equal(await Deno.readTextFile(join(folder, "t.stderr")), "oops");
    await spool.discard();
    assert.deepEqual(await filesIn(folder), []);
  }));

Deno.test("what is delivered is given back to the disk, but for the beginning and the newest", () =>
  withFolder(async (folder) => {
    const spool = new Spool(join(folder, "t"), { limits: { step: 64 * KIB } });
    const used = async (name: string) => 512 * ((await Deno.stat(join(folder, name))).blocks ?? 0);
    for (let i = 0; i < 100; i++) await append(spool, "stdout", "x".repeat(32 * KIB - 1) + "\n");
    assert(await used("t.stdout") >= 3_200 * KIB);
    await takeAll(spool);
    const left = await used("t.stdout");
    assert(left <= 256 * KIB, `${left} bytes`);
    for (let i = 0; i < 5_000; i++) {
      await append(spool, "stdout", "x\n");
      await take(spool);
    }
    assert(await used("t.index") <= 256 * KIB, "the index too");
    await spool.discard();
  }));

Deno.test("over the bound the oldest on disk makes room, a gap counts its lines, the tail is kept", () =>
  withFolder(async (folder) => {
    await using spool = new Spool(join(folder, "t"), { limits: { ...SMALL, total: 2_000 } });
    await appendNumbers(spool, 0, 10);
    const head = (await takeAll(spool)).slice(0, 10);
    await appendNumbers(spool, 10, 500);
    assertOneGap([...head, ...await takeAll(spool)], 500);
  }));

Deno.test("a gap counts the lines that it cuts, and says where one goes on behind it", () =>
  withFolder(async (folder) => {
    const limits = { step: 1, total: 0 };
    const gapOf = async (...texts: [LogStream, string][]) => {
      await using spool = new Spool(join(folder, crypto.randomUUID()), { limits });
      for (const [index, [stream, text]] of texts.entries()) {
        await append(spool, stream, text);
        if (index === 0) await take(spool);
      }
      const gap = await spool.next();
      assert(gap instanceof Gap);
      return { lines: gap.lines, bytes: gap.bytes, streams: Object.fromEntries(gap.streams) };
    };
    const first = ["stdout", "first\n"] as [LogStream, string];
    const last = ["stdout", "z".repeat(100)] as [LogStream, string];
    assert.deepEqual(
      await gapOf(first, ["stdout", "a\nb\n"], ["stdout", "c\n"], last),
      { lines: 3, bytes: 6, streams: { stdout: false } },
    );
    assert.deepEqual(
      await gapOf(first, ["stdout", "a\nb"], ["stderr", "e"], ["stdout", "b"], last),
      { lines: 3, bytes: 5, streams: { stdout: true, stderr: true } },
    );
    assert.deepEqual(
      await gapOf(first, ["stdout", "a\nb"], ["stdout", "b\nc\n"], last),
      { lines: 3, bytes: 7, streams: { stdout: false } },
    );
  }));

Deno.test("a backlog that vanishes from the disk is told of like what was given up", () =>
  withFolder(async (folder) => {
    const errors: unknown[] = [];
    const spool = new Spool(join(folder, "t"), {
      limits: SMALL,
      onDiskError: (error) => errors.push(error),
    });
    await appendNumbers(spool, 0, 200);
    // Before that it is open, and so not gone.
    await spool[Symbol.asyncDispose]();
    for (const name of await filesIn(folder)) await Deno.remove(join(folder, name));
    const taken = await takeAll(spool);
    const rest = taken.filter((each) => !each.startsWith("gap: "));
    assert.deepEqual(rest, numbered(0, rest.length));
    assert.equal(rest.length + leftOutOf(taken), 200);
    assert(errors.length > 0);
    await spool.discard();
  }));

Deno.test("a disk that refuses costs neither bytes nor their order, and is used again later", () =>
  withFolder(async (folder) => {
    const errors: unknown[] = [];
    const state = join(folder, "state");
    await Deno.mkdir(state);
    await using spool = new Spool(join(state, "t"), {
      limits: SMALL,
      onDiskError: (error) => errors.push(error),
    });
    const gone = join(folder, "gone");
    await appendNumbers(spool, 0, 20);
    await spool[Symbol.asyncDispose]();
    await Deno.rename(state, gone);
    await appendNumbers(spool, 20, 60);
    assert(errors.length > 0);
    await Deno.rename(gone, state);
    const failures = errors.length;
    await appendNumbers(spool, 60, 80);
    assert.deepEqual(await takeAll(spool), numbered(0, 80));
    await appendNumbers(spool, 80, 140);
    assert.deepEqual(await takeAll(spool), numbered(80, 140));
    assert.equal(errors.length, failures, "nothing fails any more");
  }));

Deno.test("behind a gap across what was given back, an earlier agent's output comes", () =>
  withFolder(async (folder) => {
    const limits = { step: 64 * KIB, total: 64 * KIB };
    await using before = new Spool(join(folder, "t"), { limits });
    await appendNumbers(before, 0, 1_900);
    await takeAll(before);
    await appendNumbers(before, 1_900, 3_900);
    let last: unknown;
    while (last !== "stdout: 3500\n") last = await take(before);
    await before[Symbol.asyncDispose]();
    await using spool = await Spool.recover(join(folder, "t"), {
      limits,
      onDamaged: (path) => assert.fail(path),
    });
    const taken = await takeAll(spool);
    assert.deepEqual(taken.slice(-399), numbered(3_501, 3_900));
  }));

Deno.test("an index that cannot be read while too much waits keeps nothing from being added", () =>
  withFolder(async (folder) => {
    const errors: unknown[] = [];
    await using spool = new Spool(join(folder, "t"), {
      limits: { ...SMALL, total: 2_000 },
      onDiskError: (error) => errors.push(error),
    });
    await appendNumbers(spool, 0, 100);
    await spool[Symbol.asyncDispose]();
    await Deno.remove(join(folder, "t.index"));
    await Deno.mkdir(join(folder, "t.index"));
    await appendNumbers(spool, 100, 140);
    assert(errors.length > 0);
    assert.equal((await takeAll(spool)).at(-1), "stdout: 139");
  }));

Deno.test("what is on a disk that takes nothing any more is read, and not given up", () =>
  withTinyDisk(async (folder) => {
    const limits = { step: 1, total: 2_000 };
    await using spool = new Spool(join(folder, "t"), { limits });
    await appendNumbers(spool, 0, 20);
    await spool[Symbol.asyncDispose]();
    const args = ["-o", "remount,ro", folder];
    assert((await new Deno.Command("mount", { args }).output()).success);
    await appendNumbers(spool, 20, 26);
    assert.deepEqual(await takeAll(spool), numbered(0, 26));
    assert.equal(spool.unreadBytes, 0);
  }));

Deno.test("a full disk costs neither bytes nor their order", () =>
  withTinyDisk(async (folder) => {
    const errors: unknown[] = [];
    const spool = new Spool(join(folder, "t"), {
      limits: { step: 6_000, total: 1_000_000 },
      onDiskError: (error) => errors.push(error),
    });
    const expected: string[] = [];
    for (let i = 0; i < 80; i++) {
      const text = Array.from({ length: 10 }, (_, n) => `${i}.${n} ${"x".repeat(40)}`).join("\n");
      expected.push(`stdout: ${text}`);
      await append(spool, "stdout", `${text}\n`, i);
    }
    assert(errors.length > 0, "the disk was full");
    assert.deepEqual(await takeAll(spool), expected);
    await spool.discard();
    assert.deepEqual(await filesIn(folder), []);
  }));

Deno.test("without a disk the oldest makes room in memory", () =>
  withFolder(async (folder) => {
    const limits = { step: 300, total: 10_000 };
    await using spool = new Spool(join(folder, "missing/t"), { limits });
    await appendNumbers(spool, 0, 10);
    const head = await takeAll(spool);
    await appendNumbers(spool, 10, 300);
    assertOneGap([...head, ...await takeAll(spool)], 300);
  }));

Deno.test("the newest stays, however small the bound", () =>
  withFolder(async (folder) => {
    const limits = { step: 20_000, total: 100 };
    await using spool = new Spool(join(folder, "t"), { limits });
    await appendNumbers(spool, 0, 200);
    assert.deepEqual(await takeAll(spool), numbered(0, 200));
  }));

Deno.test("what finds no memory stays on disk, in order, and all memory is given back", () =>
  withFolder(async (folder) => {
    const memory = new LogMemory(() => 300 * KIB);
    const full = new Spool(join(folder, "full"), { memory });
    const spool = new Spool(join(folder, "t"), { memory });
    await appendNumbers(spool, 0, 1_000);
    assert.equal(memory.used, 2 * 192 * KIB, "nothing but what each task takes at least");
    assert.deepEqual(await takeAll(spool), numbered(0, 1_000));
    for (const each of [full, spool]) await each.discard();
    assert.equal(memory.used, 0);
    assert.deepEqual(await filesIn(folder), []);
  }));

Deno.test("without a disk the tasks together keep within the memory, and each its newest bytes", () =>
  withFolder(async (folder) => {
    const limit = 3 * 192 * KIB + 300_000;
    const memory = new LogMemory(() => limit);
    const spools = ["a", "b", "c"].map((name) => new Spool(join(folder, "gone", name), { memory }));
    const lines = 5_000;
    for (const spool of spools) {
      await appendNumbers(spool, 0, lines);
      assert(memory.used <= limit + 1_000, `${memory.used} bytes`);
    }
    for (const spool of spools) {
      const taken = await takeAll(spool);
      const printed = taken.filter((each) => each.startsWith("stdout: "));
      assert.equal(printed.at(-1), `stdout: ${lines - 1}`);
      assert.equal(printed.length + leftOutOf(taken), lines);
      await spool.discard();
    }
    assert.equal(memory.used, 0);
  }));

function chunk(number: number): QueuedChunk {
  const [bytes, dispose] = [new Uint8Array(2), () => {}];
  const where = { start: 0, record: 0, isOnDisk: false, isOpen: false, lines: 1 };
  return { stream: "stdout", atMs: number, bytes, ...where, [Symbol.dispose]: dispose };
}

Deno.test("chunks in memory come out in order, and cost nothing any more", () => {
  const memory = new LogMemory(() => Infinity);
  const queue = new ChunkQueue(memory);
  let pushed = 0;
  let shifted = 0;
  const shift = () => {
    const next = queue.shift();
    assert(next && !(next instanceof Gap));
    assert.equal(next.atMs, shifted++);
  };
  for (let round = 0; round < 2_000; round++) {
    for (let i = Math.random() * 6; i > 0; i--) queue.push(chunk(pushed++));
    for (let i = Math.random() * 6; i > 0 && !queue.empty; i--) shift();
    assert.equal(queue.empty, pushed === shifted);
  }
  while (!queue.empty) shift();
  assert.equal(shifted, pushed);
  assert.equal(queue.bytes, 0);
  assert.equal(memory.used, 0);
  assert.equal(queue.shift(), undefined);
});

Deno.test("a memory full of short chunks is taken in no time", () => {
  const queue = new ChunkQueue(new LogMemory(() => Infinity));
  for (let i = 0; i < 160_000; i++) queue.push(chunk(i));
  const startMs = performance.now();
  while (queue.shift());
  // Half a minute with `Array.shift`.
  assert(performance.now() - startMs < 10_000);
});
