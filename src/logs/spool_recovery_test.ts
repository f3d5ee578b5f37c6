import assert from "node:assert/strict";
import { join } from "@std/path";
import {
  filesIn,
  leftOutOf,
  linesOf,
  numbered,
  parseSegment,
  pushNumbers,
  recover,
  SMALL,
  takeAll,
  withFolder,
  withTinyDisk,
} from "./_test_spool.ts";
import type { Batch } from "./batch.ts";
import { segmentHeader, segmentRecord } from "./segment.ts";
import { Spool } from "./spool.ts";

function record(batch: Omit<Batch, "end">): string {
  return segmentRecord(batch).join("");
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
    const { spool, kept } = await recover(prefix);
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
    const whole = linesOf(
      parseSegment(new TextDecoder().decode(content), { stdout: 0, stderr: 0, system: 0 }).batches,
    )
      .length;
    let fewest = Infinity;
    for (let length = content.length; length >= 0; length--) {
      await Deno.writeFile(last, content.subarray(0, length));
      const { spool, kept } = await recover(prefix);
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
    const { spool: second } = await recover(prefix, () => {});
    await second.push("system", "restarted\n", 99);
    const first = await second.shift();
    if (first) second.delivered(first.stream, first.end);
    await second[Symbol.asyncDispose]();
    const { spool: third } = await recover(prefix, () => {});
    const rest = linesOf([...(first ? [first] : []), ...await takeAll(third)]);
    assert.deepEqual(rest, [...expected.slice(0, -1), "system: restarted"]);
    await third.discard();
    assert.deepEqual(await filesIn(folder), []);
  }));

Deno.test("lines that were delivered in part go on where they stopped", () => {
  const at = { stdout: 100, stderr: 7, system: 0 };
  const content = segmentHeader(at) +
    record({ stream: "stdout", atMs: 5, text: "a\nb\nc\n" }) +
    record({ stream: "stderr", atMs: 6, text: "e\n" });
  assert.deepEqual(parseSegment(content, { ...at, stdout: 102 }).batches, [
    { stream: "stdout", atMs: 5, text: "b\nc\n", end: 106 },
    { stream: "stderr", atMs: 6, text: "e\n", end: 9 },
  ]);
  assert.deepEqual(parseSegment(content, { stdout: 106, stderr: 9, system: 0 }).batches, []);
  for (let units = 1; units < content.length; units++) {
    const { batches, damaged } = parseSegment(content, { ...at, stdout: 102 }, units);
    assert.equal(batches.map(({ text }) => text).join(""), "b\nc\ne\n", `pieces of ${units}`);
    assert.equal(batches.at(-1)?.end, 9);
    assert(!damaged);
  }
  assert.deepEqual(parseSegment("", at), { batches: [], damaged: false });
  assert.deepEqual(parseSegment("\0".repeat(4_096), at).batches, [], "what a power cut may leave");
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
          record({ stream: "stdout", atMs: 1, text }),
      );
    }
    for (
      const [delivered, expected] of [[0, ["one", "two", "three"]], [10, ["two", "three"]], [18, [
        "three",
      ]]] as const
    ) {
      await Deno.writeTextFile(`${prefix}.cursor`, `${delivered} 0 0 3 0\n`);
      const { spool } = await recover(prefix, () => {});
      assert.equal(spool.cursor.entries, 3);
      const batches: Batch[] = [];
      for (let batch = await spool.shift(); batch; batch = await spool.shift()) batches.push(batch);
      assert.deepEqual(linesOf(batches), expected.map((line) => `stdout: ${line}`));
      await spool[Symbol.asyncDispose]();
    }
  }));

Deno.test("lines left out before a kill are told of after it, and where they lay", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const before = new Spool(prefix, { limits: { ...SMALL, total: 2_000 } });
    await pushNumbers(before, 0, 500);
    await before[Symbol.asyncDispose]();
    const { spool } = await recover(prefix);
    const lines = linesOf(await takeAll(spool));
    const note = lines.findIndex((line) => line.startsWith("system: "));
    assert(note > 0, "a head");
    const leftOut = leftOutOf(lines);
    assert.deepEqual(lines.slice(0, note), numbered(0, note));
    assert.deepEqual(lines.slice(note + 1), numbered(note + leftOut, 500));
    await spool.discard();
  }));

Deno.test("a note of lines left out that was on its way at a kill comes again", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const before = new Spool(prefix, { limits: { memory: 0, segment: 300, total: 2_000 } });
    await pushNumbers(before, 0, 300);
    const passed: Batch[] = [];
    for (let noted = false, behind = false; !behind;) {
      const batch = await before.shift();
      assert(batch, "there is a note, and something behind it");
      behind = noted;
      noted ||= batch.stream === "system";
      if (batch.stream !== "system") passed.push(batch);
    }
    // Full entries of another stream pass it, and more has to be left out meanwhile.
    for (const { stream, end } of passed) before.delivered(stream, end);
    await pushNumbers(before, 300, 600);
    await before[Symbol.asyncDispose]();
    const { spool } = await recover(prefix);
    const lines = linesOf(await takeAll(spool));
    const printed = lines.filter((line) => line.startsWith("stdout: "));
    assert.equal(printed.at(-1), "stdout: 599");
    assert.equal(linesOf(passed).length + leftOutOf(lines) + printed.length, 600);
    await spool.discard();
  }));

Deno.test("lines of an earlier agent that have to be left out are counted", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const before = new Spool(prefix, { limits: SMALL });
    await pushNumbers(before, 0, 300);
    const first = await before.shift();
    if (first) before.delivered(first.stream, first.end);
    await before[Symbol.asyncDispose]();
    const { spool } = await recover(prefix, () => {}, { ...SMALL, total: 1_000 });
    await spool.push("stdout", "300\n", 300);
    const lines = linesOf(await takeAll(spool));
    const leftOut = leftOutOf(lines);
    assert(leftOut > 0);
    assert.deepEqual(
      lines.slice(1),
      numbered(1 + leftOut, 301),
      "the one delivered is not among them",
    );
    await spool.discard();
  }));

Deno.test("a cursor that cannot be read costs lines that come twice, and none that is lost", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const before = new Spool(prefix);
    await pushNumbers(before, 0, 5);
    await before[Symbol.asyncDispose]();
    for (const cursor of ["", "12", "a b c d e", "\0".repeat(96)]) {
      await Deno.writeTextFile(`${prefix}.cursor`, cursor);
      const { spool, damaged } = await recover(prefix, () => {});
      assert.deepEqual(damaged, cursor === "" ? [] : [`${prefix}.cursor`]);
      const batch = await spool.shift();
      assert.equal(batch?.text, "0\n");
      await spool[Symbol.asyncDispose]();
    }
  }));

Deno.test("of a damaged file what stands before the damage comes, and the damage is told", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const header = segmentHeader({ stdout: 0, stderr: 0, system: 0 });
    const first = record({ stream: "stdout", atMs: 1, text: "first\n" });
    for (
      const [content, lines, isDamaged] of [
        [`${header}${first}garbage\n${first}`, ["stdout: first"], true],
        [`garbage\n${header}${first}`, [], true],
        [`${header}${first}stdout 17`, ["stdout: first"], false],
        [`${header}${first}stdout 1 90\nwhole\nhal`, ["stdout: first", "stdout: whole"], false],
        [header.slice(0, 4), [], false],
      ] as const
    ) {
      await Deno.writeTextFile(`${prefix}.log.1`, content);
      const { spool, damaged } = await recover(prefix);
      assert.deepEqual(damaged, isDamaged ? [`${prefix}.log.1`] : [], content);
      assert.deepEqual(linesOf(await takeAll(spool)), lines, content);
      await spool.discard();
    }
  }));

Deno.test("the files of one task are not taken for another's", () =>
  withFolder(async (folder) => {
    for (const id of ["task", "task-2"]) {
      await using spool = new Spool(join(folder, id));
      await spool.push("stdout", `${id}\n`, 0);
    }
    const { spool } = await recover(join(folder, "task"), () => {});
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
        record({ stream: "stdout", atMs: 1, text: "rest\n" }),
    );
    const errors: unknown[] = [];
    const { spool } = await recover(prefix, (error) => errors.push(error));
    assert.deepEqual(linesOf(await takeAll(spool)), ["stdout: rest"]);
    assert(errors.length > 0);
    await spool.discard();
  }));
