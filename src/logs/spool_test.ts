import assert from "node:assert/strict";
import { join } from "@std/path";
import type { LogStream } from "../control_plane/schemas.ts";
import type { Batch } from "./batch.ts";
import { parseSegment, segmentHeader, segmentRecord } from "./segment.ts";
import { Spool, type SpoolLimits } from "./spool.ts";

/** So small that a few dozen lines go through every part. */
const SMALL: SpoolLimits = { memory: 1_000, segment: 300, total: 1_000_000 };

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "spool_" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function filesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).toSorted();
}

/** Takes batches until there is none, as a control plane that takes everything. */
async function takeAll(spool: Spool): Promise<Batch[]> {
  const batches: Batch[] = [];
  for (let batch = await spool.shift(); batch; batch = await spool.shift()) {
    batches.push(batch);
    spool.delivered(batch.stream, batch.end);
  }
  return batches;
}

function linesOf(batches: Batch[]): string[] {
  return batches.flatMap(({ stream, text }) => {
    assert(text.endsWith("\n"), "only whole lines come out");
    return text.split("\n").slice(0, -1).map((line) => `${stream}: ${line}`);
  });
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `stdout: ${from + i}`);
}

async function pushNumbers(spool: Spool, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await spool.push("stdout", `${i}\n`, i);
}

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

/** Runs a test in a folder of 16 KiB, if one can be had. */
async function withTinyDisk(test: (folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const mount = await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=16k", "tmpfs", folder],
      stderr: "null",
    }).output().catch(() => undefined);
    if (!mount?.success) {
      // deno-lint-ignore no-console
      console.warn("SKIPPED: no tmpfs can be mounted here");
      return;
    }
    try {
      await test(folder);
    } finally {
      await new Deno.Command("umount", { args: [folder] }).output();
    }
  });
}

Deno.test("a full disk costs neither lines nor their order, and none comes twice", () =>
  withTinyDisk(async (folder) => {
    const errors: unknown[] = [];
    const spool = new Spool(join(folder, "t"), {
      limits: { memory: 2_000, segment: 6_000, total: 1_000_000 },
      onDiskError: (error) => errors.push(error),
    });
    const expected: string[] = [];
    for (let i = 0; i < 80; i++) {
      // Many short lines: of those that the disk takes in part, some are whole.
      const lines = Array.from({ length: 10 }, (_, n) => `${i}.${n} ${"x".repeat(40)}`);
      expected.push(...lines.map((line) => `stdout: ${line}`));
      await spool.push("stdout", lines.join("\n") + "\n", i);
    }
    assert(errors.length > 0, "the disk was full");
    assert.deepEqual(linesOf(await takeAll(spool)), expected);
    await spool.discard();
    assert.deepEqual(await filesIn(folder), []);
  }));

Deno.test("what a full disk refused leaves no hole in what it takes later", () =>
  withTinyDisk(async (folder) => {
    const prefix = join(folder, "t");
    const errors: unknown[] = [];
    const before = new Spool(prefix, { onDiskError: (error) => errors.push(error) });
    await before.push("stdout", "first\n", 0);
    using filler = await Deno.open(join(folder, "filler"), { write: true, createNew: true });
    await assert.rejects(async () => {
      for (;;) await filler.write(new Uint8Array(4_096));
    });
    await before.push("stdout", "refused\n".repeat(1_000), 1);
    assert.equal(errors.length, 1);
    await filler.truncate(0);
    await before.push("stdout", "third\n", 2);
    for (let i = 0; i < 2; i++) {
      const batch = await before.shift();
      if (batch) before.delivered(batch.stream, batch.end);
    }
    await before[Symbol.asyncDispose]();
    const { spool, kept } = await Spool.recover(prefix, (error) => assert.fail(String(error)));
    assert.deepEqual(linesOf(await takeAll(spool)), ["stdout: third"]);
    assert(!kept.some(({ text }) => text.includes("refused")));
    await spool.discard();
  }));

Deno.test("after a kill nothing comes again and all that was whole on disk comes, at every length", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const before = new Spool(prefix, { limits: { ...SMALL, segment: 200 } });
    for (let i = 0; i < 40; i++) {
      await before.push(i % 4 === 0 ? "stderr" : "stdout", `${i} 日😀\nmore ${i}\n`, i);
    }
    const delivered: Batch[] = [];
    for (let i = 0; i < 10; i++) {
      const batch = await before.shift();
      if (!batch) continue;
      delivered.push(batch);
      before.delivered(batch.stream, batch.end);
    }
    await before[Symbol.asyncDispose]();
    const expected = Array.from({ length: 40 }, (_, i) => {
      const stream = i % 4 === 0 ? "stderr" : "stdout";
      return [`${stream}: ${i} 日😀`, `${stream}: more ${i}`];
    }).flat().slice(linesOf(delivered).length);

    const names = (await filesIn(folder)).filter((name) => name.includes(".log."));
    const last = join(
      folder,
      names.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1)).at(-1) ?? "",
    );
    const content = await Deno.readFile(last);
    const cursor = await Deno.readFile(`${prefix}.cursor`);
    const whole =
      linesOf(parseSegment(new TextDecoder().decode(content), { stdout: 0, stderr: 0, system: 0 }))
        .length;
    let fewest = Infinity;
    for (let length = content.length; length >= 0; length--) {
      await Deno.writeFile(last, content.subarray(0, length));
      const { spool, kept } = await Spool.recover(prefix, (error) => assert.fail(String(error)));
      const batches: Batch[] = [];
      for (let batch = await spool.shift(); batch; batch = await spool.shift()) batches.push(batch);
      const lines = linesOf(batches);
      assert.deepEqual(lines, expected.slice(0, lines.length), `cut at ${length}`);
      assert(lines.length >= expected.length - whole, "only the last file was cut");
      assert(lines.length <= fewest, "a shorter file cannot hold more");
      assert(linesOf(kept).length >= lines.length);
      fewest = lines.length;
      if (length === content.length) assert.equal(lines.length, expected.length);
      await spool[Symbol.asyncDispose]();
    }
    assert.equal(fewest, expected.length - whole);

    // What is pushed afterwards goes on behind, and survives the next kill as well.
    await Deno.writeFile(last, content.subarray(0, content.length - 3));
    await Deno.writeFile(`${prefix}.cursor`, cursor);
    const { spool: second } = await Spool.recover(prefix, () => {});
    await second.push("system", "restarted\n", 99);
    const first = await second.shift();
    if (first) second.delivered(first.stream, first.end);
    await second[Symbol.asyncDispose]();
    const { spool: third } = await Spool.recover(prefix, () => {});
    const rest = linesOf([...(first ? [first] : []), ...await takeAll(third)]);
    assert.deepEqual(rest, [...expected.slice(0, -1), "system: restarted"]);
    await third.discard();
    assert.deepEqual(await filesIn(folder), []);
  }));

Deno.test("lines that were delivered in part go on where they stopped", () => {
  const at = { stdout: 100, stderr: 7, system: 0 };
  const content = segmentHeader(at) +
    segmentRecord({ stream: "stdout", atMs: 5, text: "a\nb\nc\n" }) +
    segmentRecord({ stream: "stderr", atMs: 6, text: "e\n" });
  assert.deepEqual(parseSegment(content, { ...at, stdout: 102 }), [
    { stream: "stdout", atMs: 5, text: "b\nc\n", end: 106 },
    { stream: "stderr", atMs: 6, text: "e\n", end: 9 },
  ]);
  assert.deepEqual(parseSegment(content, { stdout: 106, stderr: 9, system: 0 }), []);
  assert.deepEqual(parseSegment("", at), []);
  assert.deepEqual(parseSegment("\0".repeat(4_096), at), [], "what a power cut may leave");
});

Deno.test("a gap between two files, where the disk refused, shifts nothing behind it", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    // The second file begins 10 units after the first one ends: those lines were only in memory.
    const files = [[0, "one\n"], [14, "two\nthree\n"]] as const;
    for (const [index, [at, text]] of files.entries()) {
      await Deno.writeTextFile(
        `${prefix}.log.${index + 1}`,
        segmentHeader({ stdout: at, stderr: 0, system: 0 }) +
          segmentRecord({ stream: "stdout", atMs: 1, text }),
      );
    }
    for (
      const [delivered, expected] of [[0, ["one", "two", "three"]], [10, ["two", "three"]], [18, [
        "three",
      ]]] as const
    ) {
      await Deno.writeTextFile(`${prefix}.cursor`, `${delivered} 0 0 3 0\n`);
      const { spool } = await Spool.recover(prefix, () => {});
      assert.equal(spool.cursor.entries, 3);
      const batches: Batch[] = [];
      for (let batch = await spool.shift(); batch; batch = await spool.shift()) batches.push(batch);
      assert.deepEqual(linesOf(batches), expected.map((line) => `stdout: ${line}`));
      await spool[Symbol.asyncDispose]();
    }
  }));

Deno.test("a cursor that cannot be read costs lines that come twice, and none that is lost", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const before = new Spool(prefix);
    await pushNumbers(before, 0, 5);
    await before[Symbol.asyncDispose]();
    for (const cursor of ["", "12", "a b c d e", "\0".repeat(96)]) {
      await Deno.writeTextFile(`${prefix}.cursor`, cursor);
      const { spool } = await Spool.recover(prefix, () => {});
      const batch = await spool.shift();
      assert.equal(batch?.text, "0\n");
      await spool[Symbol.asyncDispose]();
    }
  }));

Deno.test("the files of one task are not taken for another's", () =>
  withFolder(async (folder) => {
    for (const id of ["task", "task-2"]) {
      await using spool = new Spool(join(folder, id));
      await spool.push("stdout", `${id}\n`, 0);
    }
    const { spool } = await Spool.recover(join(folder, "task"), () => {});
    assert.deepEqual(linesOf(await takeAll(spool)), ["stdout: task"]);
    await spool.discard();
    assert.deepEqual(await filesIn(folder), ["task-2.log.1"]);
  }));

Deno.test("an unreadable file of an earlier agent does not keep the others from coming", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    await Deno.mkdir(`${prefix}.log.1`);
    await Deno.writeTextFile(
      `${prefix}.log.2`,
      segmentHeader({ stdout: 9, stderr: 0, system: 0 }) +
        segmentRecord({ stream: "stdout", atMs: 1, text: "rest\n" }),
    );
    const errors: unknown[] = [];
    const { spool } = await Spool.recover(prefix, (error) => errors.push(error));
    assert.deepEqual(linesOf(await takeAll(spool)), ["stdout: rest"]);
    assert(errors.length > 0);
    await spool.discard();
  }));
