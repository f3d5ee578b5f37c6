import assert from "node:assert/strict";
import { join } from "@std/path";
import type { LogEntry, LogStream } from "../control_plane/schemas.ts";
import { cutLongLines, MAX_ENTRY_CODE_POINTS } from "./line_decoder.ts";
import { LogUploader } from "./log_uploader.ts";
import { ROWS } from "./batch_policy.ts";
import { Spool, type SpoolLimits } from "./spool.ts";

const STREAMS: LogStream[] = ["stdout", "stderr", "system"];

interface Bench {
  spool: Spool;
  delivery: LogUploader;
  entries: LogEntry[];
  clock: { nowMs: number; looks: number };
}

/** Runs a test with a delivery whose clock stands still unless the test moves it. */
async function withDelivery(
  test: (bench: Bench) => Promise<void>,
  options: { send?: (entry: LogEntry) => Promise<boolean>; limits?: Partial<SpoolLimits> } = {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "delivery_" });
  const spool = new Spool(join(folder, "task"), { limits: options.limits ?? {} });
  const entries: LogEntry[] = [];
  const clock = { nowMs: 0, looks: 0 };
  const delivery = new LogUploader({
    spool,
    now: () => {
      clock.looks++;
      return clock.nowMs;
    },
    send: async (entry) => {
      const goOn = await options.send?.(entry) ?? true;
      if (goOn) entries.push(entry);
      return goOn;
    },
  });
  try {
    await test({ spool, delivery, entries, clock });
  } finally {
    await spool.discard();
    await Deno.remove(folder, { recursive: true });
  }
}

function textsOf(entries: LogEntry[]): string[] {
  return entries.map(({ stream, line }) => `${stream}: ${line}`);
}

/** Gives the event loop its turn until `condition` holds. */
async function until(condition: () => boolean): Promise<void> {
  const limit = performance.now() + 150_000;
  while (!condition()) {
    assert(performance.now() < limit, "it never came");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function randomLines(): string {
  const lines = Array.from({ length: Math.ceil(Math.random() * 5) }, () => {
    const char = ["x", "é", "😀", ""][Math.floor(Math.random() * 4)] ?? "";
    return char.repeat(Math.ceil(Math.random() ** 6 * 6_000)) + Math.floor(Math.random() * 10);
  });
  return cutLongLines(lines.map((line) => Math.random() < 0.2 ? "" : line).join("\n") + "\n");
}

Deno.test("the entries of each stream give its lines back, whatever came in whatever order", async () => {
  for (let round = 0; round < 25; round++) {
    const limits = round % 2 === 0 ? {} : { memory: 2_000, segment: 3_000 };
    await withDelivery(async ({ delivery, entries, clock }) => {
      const running = delivery.run();
      const pushed: Record<LogStream, string> = { stdout: "", stderr: "", system: "" };
      for (let batch = 0; batch < 60; batch++) {
        const stream = STREAMS[Math.floor(Math.random() ** 2 * 3)] ?? "stdout";
        const lines = randomLines();
        pushed[stream] += lines;
        const safe = delivery.push(stream, lines, batch);
        if (Math.random() < 0.7) await safe;
        clock.nowMs += Math.random() * 300;
      }
      await delivery.push("stdout", "the end\n", 60);
      pushed.stdout += "the end\n";
      delivery.end();
      assert(await running);
      for (const stream of STREAMS) {
        const own = entries.filter((entry) => entry.stream === stream);
        // One blank line alone is the only thing that travels in another shape.
        const given = own.map(({ line }) => (line === " " ? "" : line) + "\n").join("");
        assert(given === pushed[stream], `${stream} came otherwise`);
      }
      for (const { line } of entries) {
        assert(line !== "" && [...line].length <= MAX_ENTRY_CODE_POINTS);
      }
    }, { limits });
  }
});

Deno.test("the first 60 lines are a row each, in bursts too and in order; the rest is packed", () =>
  withDelivery(async ({ delivery, entries }) => {
    const expected: string[] = [];
    const numbers = (from: number, to: number, step = 1) =>
      Array.from({ length: (to - from) / step }, (_, i) => from + i * step);
    await delivery.push("stdout", numbers(0, 20).map((n) => `${n}\n`).join(""), 0);
    expected.push(...numbers(0, 20).map((n) => `stdout: ${n}`));
    for (let i = 20; i < 100; i++) {
      const stream = i % 2 === 0 ? "stdout" : "stderr";
      await delivery.push(stream, `${i}\n`, i);
      expected.push(`${stream}: ${i}`);
    }
    delivery.end();
    assert(await delivery.run());
    assert.deepEqual(textsOf(entries).slice(0, ROWS), expected.slice(0, ROWS));
    assert.equal(entries.length, ROWS + 2, "then each stream has one entry for the rest");
    assert.equal(entries[ROWS]?.line, numbers(60, 100, 2).join("\n"));
    assert.equal(entries[ROWS + 1]?.line, numbers(61, 101, 2).join("\n"));
  }));

Deno.test("20 000 lines at once are all within the first 100 entries", () =>
  withDelivery(async ({ delivery, entries }) => {
    const lines = Array.from({ length: 20_000 }, (_, i) => i);
    await delivery.push("stdout", lines.map((line) => `${line}\n`).join(""), 0);
    delivery.end();
    assert(await delivery.run());
    assert(entries.length <= 100, `${entries.length} entries`);
    assert.equal(entries.map(({ line }) => line).join("\n"), lines.join("\n"));
  }));

Deno.test("what is hurried is packed from the first line on", () =>
  withDelivery(async ({ delivery, entries }) => {
    await delivery.push("stdout", "a\nb\nc\n", 0);
    delivery.hurry();
    delivery.end();
    assert(await delivery.run());
    assert.deepEqual(textsOf(entries), ["stdout: a\nb\nc"]);
  }));

Deno.test("a blank line that travels alone is a space, its time is RFC 3339", () =>
  withDelivery(async ({ delivery, entries }) => {
    await delivery.push("stdout", "\n", 1_500);
    delivery.end();
    assert(await delivery.run());
    assert.deepEqual(entries, [
      { stream: "stdout", line: " ", timestamp: "1970-01-01T00:00:01.500Z" },
    ]);
  }));

Deno.test("a note is cut, and holds nothing that the control plane cannot store", () =>
  withDelivery(async ({ delivery, entries }) => {
    await delivery.note(`a\0b\ud800c ${"x".repeat(5_000)}`, 0);
    delivery.end();
    assert(await delivery.run());
    assert.deepEqual(entries.map(({ line }) => line.length), [5_000, 6]);
    assert(entries[0]?.line.startsWith("a\ufffdb\ufffdc xx"));
  }));

Deno.test("lines wait for company by the given clock, and an entry that is full does not wait", () =>
  withDelivery(async ({ delivery, entries, clock }) => {
    const running = delivery.run();
    for (let i = 0; i < ROWS; i++) {
      await delivery.push("stdout", `${i}\n`, 0);
      await until(() => entries.length === i + 1);
    }
    entries.length = 5;
    // From here on the clock stands still: nothing can be late, so nothing may go.
    await delivery.push("stdout", "a\n", 0);
    await delivery.push("stdout", "b\n", 0);
    await delivery.push("stdout", "x".repeat(4_998) + "\n", 0);
    await until(() => entries.length === 6);
    assert.equal(entries[5]?.line, "a\nb", "it was full, the long line did not fit any more");
    clock.nowMs += 3_000;
    await delivery.push("stdout", "c\n", 0);
    await until(() => entries.length === 7);
    assert.equal(entries[6]?.line, "x".repeat(4_998) + "\nc", "its time was over");
    await delivery.push("stdout", "d\n", 0);
    delivery.end();
    assert(await running);
    assert.equal(entries[7]?.line, "d", "no more will come");
  }));

Deno.test("more company does not make a line wait longer", () =>
  withDelivery(async ({ delivery, spool, entries, clock }) => {
    spool.cursor.entries = ROWS; // From here on a line waits 2 s.
    const running = delivery.run();
    for (const [line, atMs] of [["a", 0], ["b", 1_900], ["c", 2_100]] as const) {
      clock.nowMs = atMs;
      const looks = clock.looks;
      await delivery.push("stdout", `${line}\n`, atMs);
      // It has looked at the clock twice: when the line came, and for how long it may wait.
      await until(() => clock.looks >= looks + (line === "a" ? 2 : 1));
    }
    await until(() => entries.length > 0);
    assert.equal(entries[0]?.line, "a\nb\nc");
    delivery.end();
    assert(await running);
  }));

Deno.test("what waits for company alone is sent when its time is over", () =>
  withDelivery(async ({ spool, entries }) => {
    // The real clock: nobody wakes this delivery but its own timer.
    const delivery = new LogUploader({
      spool,
      send: (entry) => Promise.resolve(entries.push(entry) > 0),
    });
    const running = delivery.run();
    spool.cursor.entries = ROWS;
    await delivery.push("stdout", "a\n", 0);
    await until(() => entries.length === 1);
    delivery.end();
    assert(await running);
  }));

Deno.test("no wake-up is lost, whenever lines come and whenever the end comes", async () => {
  // Pushes and the end are moved through every place of the delivery's own turns.
  for (let turns = 0; turns < 60; turns++) {
    await withDelivery(async ({ delivery, entries }) => {
      const running = delivery.run();
      const passTurns = async () => {
        for (let i = 0; i < turns; i++) await Promise.resolve();
      };
      await passTurns();
      const first = delivery.push("stdout", "a\n", 0);
      await passTurns();
      await delivery.push("stdout", "b\n", 0);
      await first;
      await passTurns();
      await delivery.push("stdout", "c\n", 0);
      delivery.end();
      assert(await running);
      assert.equal(entries.map(({ line }) => line).join("\n"), "a\nb\nc");
    });
  }
});

Deno.test("an entry that is not delivered stays, and is the first thing after a restart", () =>
  withDelivery(async ({ delivery, spool, entries }) => {
    await delivery.push("stdout", "a\n", 0);
    await delivery.push("stderr", "b\n", 0);
    await delivery.push("stdout", "c\n", 0);
    delivery.end();
    assert.equal(await delivery.run(), false);
    assert.deepEqual(textsOf(entries), ["stdout: a"]);
    assert.deepEqual(spool.cursor, {
      delivered: { stdout: 2, stderr: 0, system: 0 },
      entries: 1,
      leftOut: 0,
    });
  }, { send: (entry) => Promise.resolve(entry.line === "a") }));

Deno.test("stopping ends a delivery that waits, and one that sends after that entry", async () => {
  await withDelivery(async ({ delivery, entries }) => {
    await delivery.push("stdout", "a\n", 0);
    const running = delivery.run();
    await until(() => entries.length === 1);
    delivery.stop();
    assert.equal(await running, true, "nothing was left");
  });
  const sending = Promise.withResolvers<boolean>();
  await withDelivery(async ({ delivery, entries }) => {
    await delivery.push("stdout", "a\n", 0);
    await delivery.push("stderr", "b\n", 0);
    const running = delivery.run();
    await until(() => inFlight === 1);
    delivery.stop();
    sending.resolve(true);
    assert.equal(await running, false);
    assert.deepEqual(textsOf(entries), ["stdout: a"]);
  }, {
    send: () => {
      inFlight++;
      return sending.promise;
    },
  });
});
let inFlight = 0;

Deno.test("a flood of one stream does not hold back the lines of another", () =>
  withDelivery(async ({ spool, delivery, entries }) => {
    spool.cursor.entries = ROWS;
    await delivery.push("stderr", "alarm\n", 0);
    for (let i = 0; i < 50; i++) await delivery.push("stdout", "x".repeat(5_000) + "\n", 0);
    delivery.end();
    assert(await delivery.run());
    const place = entries.findIndex(({ line }) => line === "alarm");
    assert(place < 10, `the alarm came after ${place} entries of the flood`);
  }));
