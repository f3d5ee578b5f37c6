import assert from "node:assert/strict";
import { join } from "@std/path";
import { filesIn, openLog, pull, SMALL, textOf, withFolder, withTinyDisk } from "./_test_spool.ts";
import { type BatchedEntry, LineDecoder } from "./log_entries.ts";
import { SecretMask } from "./secret_mask.ts";

const encoder = new TextEncoder();
const LEFT_OUT = /^\[… (\d+) lines left out: more than could be delivered …\]$/;

function numbers(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, i) => `${from + i}\n`).join("");
}

/** How many lines the notes say were left out. */
function leftOutOf(entries: BatchedEntry[]): number {
  const lines = textOf(entries, "system").split("\n");
  return lines.reduce((sum, line) => sum + Number(LEFT_OUT.exec(line)?.[1] ?? 0), 0);
}

/** A log with sixteen batches of two streams, of which some entries are delivered. */
async function leaveSome(prefix: string, delivered: number) {
  const log = await openLog(prefix, { limits: SMALL });
  const printed = { stdout: "", stderr: "" };
  for (let i = 0; i < 16; i++) {
    const stream = i % 4 === 0 ? "stderr" : "stdout";
    const text = `${i} 日😀\nmore ${i}\n`;
    printed[stream] += text;
    await log.write(stream, text, i);
  }
  const entries = await pull(log, delivered);
  await log.close();
  return { printed, entries };
}

Deno.test("after a kill nothing comes again and all that is on disk comes, whatever its length", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const { printed, entries } = await leaveSome(prefix, 6);
    const kept = new Map<string, Uint8Array>();
    for (const name of await filesIn(folder)) {
      kept.set(name, await Deno.readFile(join(folder, name)));
    }
    const restore = () =>
      Promise.all([...kept].map(([name, bytes]) => Deno.writeFile(join(folder, name), bytes)));
    const stdout = kept.get("t.stdout") ?? new Uint8Array();
    const had = textOf(entries, "stdout");
    for (let length = encoder.encode(had).length; length <= stdout.length; length += 2) {
      await restore();
      await Deno.writeFile(join(folder, "t.stdout"), stdout.subarray(0, length));
      const log = await openLog(prefix);
      const rest = await pull(log);
      await log.close();
      const text = had + textOf(rest, "stdout");
      const there = new TextDecoder().decode(stdout.subarray(0, length));
      assert.equal(text, there === "" || there.endsWith("\n") ? there : `${there}\n`, `${length}`);
      assert.equal(textOf([...entries, ...rest], "stderr"), printed.stderr);
    }

    // The index may be as short as it will, what it does not know is the newest.
    const index = kept.get("t.index") ?? new Uint8Array();
    for (let length = 128; length <= index.length; length += 17) {
      await restore();
      await Deno.writeFile(join(folder, "t.index"), index.subarray(0, length));
      const log = await openLog(prefix, { onDamaged: () => {} });
      const rest = [...entries, ...await pull(log)];
      await log.close();
      for (const stream of ["stdout", "stderr"] as const) {
        assert.equal(textOf(rest, stream), printed[stream], `${stream} with an index of ${length}`);
      }
    }

    // What comes afterwards goes on behind, and survives the next kill as well.
    await restore();
    const second = await openLog(prefix);
    await second.write("stdout", "restarted\n");
    const some = await pull(second, 3);
    await second.close();
    const third = await openLog(prefix);
    const all = [...entries, ...some, ...await pull(third)];
    assert.equal(textOf(all, "stdout"), `${printed.stdout}restarted\n`);
    await third.discard();
    assert.deepEqual(await filesIn(folder), []);
  }));

const SECRETS = ["hunter2", "ünïcode-😀-secret", "first line\nsecond line\nthird line"];

/** Something that a program may print: text of all kinds, secrets, bytes that are none. */
function someBytes(): Uint8Array {
  const pick = <T>(...of: T[]): T => of[Math.floor(Math.random() * of.length)] as T;
  const text = pick(
    () => "\n",
    () => "x".repeat(Math.random() ** 8 * 30_000),
    () => `${pick(...SECRETS)}${pick("\n", "")}`,
    () => pick(...SECRETS).slice(0, 5),
    () => `größer 日本語 ${Math.random()}\r\n`,
    () => `line ${Math.random()}\n`.repeat(Math.random() * 200),
    () => "\0\n",
  )();
  const bytes = encoder.encode(text);
  return Math.random() < 0.9 ? bytes : Uint8Array.of(0xff, 0xe2, 0x82, ...bytes);
}

Deno.test("however often it is killed, wherever output is parted, each stream comes once and masked", async () => {
  for (let round = 0; round < 25; round++) {
    await withFolder(async (folder) => {
      const limits = { step: 4_096, total: 1e9 };
      const prefix = join(folder, "t");
      const bytes: Record<"stdout" | "stderr", number[]> = { stdout: [], stderr: [] };
      const entries: BatchedEntry[] = [];
      for (let life = 0; life < 6; life++) {
        const log = await openLog(prefix, { limits, secrets: SECRETS });
        for (let i = Math.random() * 30; i > 0; i--) {
          const stream = Math.random() < 0.3 ? "stderr" : "stdout";
          const printed = someBytes();
          bytes[stream].push(...printed);
          await log.append(stream, printed, life);
        }
        // The last line is not at its end before the last life is.
        if (life < 5) {
          for (const stream of ["stdout", "stderr"] as const) {
            bytes[stream].push(10);
            await log.append(stream, Uint8Array.of(10), life);
          }
        }
        entries.push(...await pull(log, life < 5 ? Math.floor(Math.random() * 40) : Infinity));
        if (life < 5) await log.close();
        else await log.discard();
      }
      for (const stream of ["stdout", "stderr"] as const) {
        const decoder = new LineDecoder(new SecretMask(SECRETS), { forPeople: true });
        const expected = decoder.push(Uint8Array.from(bytes[stream])) + decoder.end();
        assert(textOf(entries, stream) === expected, `${stream} came otherwise in round ${round}`);
      }
    });
  }
});

Deno.test("an end of a stream that was delivered does not come again", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const before = await openLog(prefix);
    await before.write("stdout", "one\ntwo\nthree without an end");
    assert.equal((await pull(before, 3)).at(-1)?.text, "three without an end");
    await before.close();
    const log = await openLog(prefix);
    assert.deepEqual(await pull(log), []);
    assert.equal(await log.summary(), "one\ntwo\nthree without an end");
    await log.discard();
  }));

Deno.test("a megabyte of one line that does not end is kept no longer than another", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const log = await openLog(prefix);
    const chunk = "x".repeat(32 * 1024);
    for (let i = 0; i < 100; i++) await log.write("stdout", chunk);
    const entries = await pull(log);
    const { blocks } = await Deno.stat(`${prefix}.stdout`);
    assert((blocks ?? 0) * 512 < 100 * chunk.length - 1_000_000, "a part is given back");
    assert.equal(textOf(entries, "stdout").replaceAll("\n", ""), chunk.repeat(100));
    await log.discard();
  }));

Deno.test("the summary of what was delivered in part has both of its ends after a kill", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const limits = { step: 128 * 1024 };
    const before = await openLog(prefix, { limits, secrets: ["password"] });
    const line = (i: number) => `${i} ${"y".repeat(90)} password\n`;
    for (let i = 0; i < 20_000; i += 100) {
      await before.write("stdout", Array.from({ length: 100 }, (_, n) => line(i + n)).join(""));
    }
    const delivered = await pull(before, 430);
    await before.close();
    const log = await openLog(prefix, { limits, secrets: ["password"] });
    const entries = [...delivered, ...await pull(log)];
    const text = Array.from({ length: 20_000 }, (_, i) => line(i)).join("");
    assert.equal(textOf(entries, "stdout"), text.replaceAll("password", "***"));
    const summary = await log.summary();
    assert(summary.startsWith(line(0).replace("password", "***")));
    assert(summary.endsWith(line(19_999).replace("password\n", "***")));
    assert.match(summary, /\n\[… [12]\d{6} characters left out …\]\n/);
    assert.doesNotMatch(summary, /passw/);
    await log.discard();
  }));

Deno.test("lines left out before a kill are told of after it, once, and where they lay", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const limits = { step: 1_000, total: 2_000 };
    const before = await openLog(prefix, { limits });
    await before.write("stdout", "0\n");
    const entries = await pull(before, 1);
    for (let i = 1; i < 500; i++) await before.write("stdout", `${i}\n`);
    await before.close();
    const log = await openLog(prefix, { limits: SMALL });
    log.hurry();
    entries.push(...await pull(log));
    const lines = textOf(entries, "stdout").split("\n").slice(0, -1).map(Number);
    const gap = lines.findIndex((line, i) => line !== i);
    const leftOut = leftOutOf(entries);
    assert(gap > 0 && leftOut > 0);
    assert.equal(lines.slice(gap).join("\n") + "\n", numbers(gap + leftOut, 500));
    await log.close();
    const again = await openLog(prefix);
    assert.deepEqual(await pull(again), [], "none of it comes again");
    await again.close();
  }));

Deno.test("a note of lines left out that was on its way at a kill comes again", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const limits = { step: 1_000, total: 2_000 };
    const before = await openLog(prefix, { limits });
    const write = async (from: number, to: number) => {
      for (let i = from; i < to; i++) await before.write("stdout", `${i}\n`);
    };
    await write(0, 300);
    const passed: BatchedEntry[] = [];
    let noted = false;
    for await (const entry of before.entries()) {
      noted ||= entry.stream === "system";
      // What comes behind the note is delivered before it, and more has to be left out meanwhile.
      if (entry.stream === "stdout") {
        passed.push(entry);
        before.delivered(entry);
        if (noted) break;
      }
    }
    await write(300, 600);
    await before.close();
    const log = await openLog(prefix, { limits: SMALL });
    const entries = [...passed, ...await pull(log)];
    const lines = textOf(entries, "stdout").split("\n").slice(0, -1);
    assert.equal(lines.at(-1), "599");
    assert.equal(new Set(lines).size, lines.length, "no line comes twice");
    assert.equal(lines.length + leftOutOf(entries), 600);
    await log.discard();
  }));

Deno.test("lines of an earlier agent that have to be left out are counted, those delivered are not", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const before = await openLog(prefix, { limits: SMALL });
    for (let i = 0; i < 300; i++) await before.write("stdout", `${i}\n`);
    const [first] = await pull(before, 1);
    assert.equal(first?.text, "0");
    await before.close();
    const log = await openLog(prefix, { limits: { ...SMALL, total: 1_000 } });
    await log.write("stdout", "300\n");
    const entries = await pull(log);
    const lines = textOf(entries, "stdout").split("\n").slice(0, -1).map(Number);
    const leftOut = leftOutOf(entries);
    assert(leftOut > 0);
    assert.equal(lines.length + leftOut, 300);
    assert.equal(lines.at(-1), 300);
    await log.discard();
  }));

Deno.test("a cursor that cannot be read costs lines that come twice, and none that is lost", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const { printed } = await leaveSome(prefix, 7);
    const index = await Deno.readFile(`${prefix}.index`);
    for (const cursor of ["spool 1 2 3", "a b c d e", "\0".repeat(127)]) {
      index.set(encoder.encode(cursor.padEnd(127)));
      await Deno.writeFile(`${prefix}.index`, index);
      const damaged: string[] = [];
      const log = await openLog(prefix, { onDamaged: (path) => damaged.push(path) });
      assert.deepEqual(damaged, [`${prefix}.index`]);
      const entries = await pull(log);
      assert.equal(textOf(entries, "stdout"), printed.stdout);
      assert.equal(textOf(entries, "stderr"), printed.stderr);
      await log.close();
    }
  }));

Deno.test("behind a damaged place of the index each stream comes all the same, and the damage is told", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const { printed, entries } = await leaveSome(prefix, 5);
    const index = await Deno.readFile(`${prefix}.index`);
    index.set(encoder.encode("garbage"), 128 + 64 * 7);
    await Deno.writeFile(`${prefix}.index`, index);
    const damaged: string[] = [];
    const log = await openLog(prefix, { onDamaged: (path) => damaged.push(path) });
    assert.deepEqual(damaged, [`${prefix}.index`]);
    const all = [...entries, ...await pull(log)];
    assert.equal(textOf(all, "stdout"), printed.stdout);
    assert.equal(textOf(all, "stderr"), printed.stderr);
    await log.close();
    const again = await openLog(prefix);
    assert.deepEqual(await pull(again), [], "the index is whole again");
    await again.close();
  }));

Deno.test("the files of one task are not taken for another's", () =>
  withFolder(async (folder) => {
    for (const id of ["task", "task-2"]) {
      const log = await openLog(join(folder, id));
      await log.write("stdout", `${id}\n`);
      await log.close();
    }
    const log = await openLog(join(folder, "task"));
    assert.equal(textOf(await pull(log), "stdout"), "task\n");
    await log.discard();
    assert.deepEqual(await filesIn(folder), ["task-2.index", "task-2.stdout"]);
  }));

Deno.test("a file of an earlier agent that cannot be used does not keep the others from coming", () =>
  withFolder(async (folder) => {
    const prefix = join(folder, "t");
    const before = await openLog(prefix);
    await before.write("stdout", "gone\n");
    await before.write("stderr", "rest\n");
    await before.close();
    await Deno.remove(`${prefix}.stdout`);
    await Deno.mkdir(`${prefix}.stdout`);
    const log = await openLog(prefix, { onDiskError: () => {} });
    assert.equal(textOf(await pull(log), "stderr"), "rest\n");
    await log.discard();
  }));

Deno.test("what a full disk refused leaves no hole in what it takes later", () =>
  withTinyDisk(async (folder) => {
    const prefix = join(folder, "t");
    const errors: unknown[] = [];
    const onDiskError = (error: unknown) => errors.push(error);
    const before = await openLog(prefix, { onDiskError });
    await before.write("stdout", "first\n");
    using filler = await Deno.open(join(folder, "filler"), { write: true, createNew: true });
    await assert.rejects(async () => {
      for (;;) await filler.write(new Uint8Array(4_096));
    });
    await before.write("stdout", "refused\n".repeat(1_000));
    assert.equal(errors.length, 1);
    await filler.truncate(0);
    await before.write("stdout", "third\n");
    const had = await pull(before, 2);
    assert.deepEqual(had.map(({ text }) => text), ["first", "refused"]);
    await before.close();
    const log = await openLog(prefix);
    assert.equal(textOf(await pull(log), "stdout"), "third\n");
    assert.equal(await log.summary(), "first\nthird");
    await log.discard();
  }));

Deno.test("nothing is left of a log that a full disk took nothing of", () =>
  withTinyDisk(async (folder) => {
    using filler = await Deno.open(join(folder, "filler"), { write: true, createNew: true });
    await assert.rejects(async () => {
      for (;;) await filler.write(new Uint8Array(4_096));
    });
    const log = await openLog(join(folder, "t"), { onDiskError: () => {} });
    await log.write("stdout", "first\n");
    assert.equal(textOf(await pull(log), "stdout"), "first\n");
    await log.discard();
    assert.deepEqual(await filesIn(folder), ["filler"]);
  }));
