import assert from "node:assert/strict";
import { join } from "@std/path";
import type { LogEntry, LogStream } from "../control_plane/schemas.ts";
import { cutLongLines, MAX_ENTRY_CODE_POINTS, ROWS, toLogEntry } from "./log_entries.ts";
import { SecretMask } from "./secret_mask.ts";
import { Spool, type SpoolLimits } from "./spool.ts";
import { TaskLog } from "./task_log.ts";

const STREAMS: LogStream[] = ["stdout", "stderr", "system"];

interface Bench {
  spool: Spool;
  log: TaskLog;
  /** Delivers until the end; whether everything is delivered. */
  run: () => Promise<boolean>;
  entries: LogEntry[];
  clock: { nowMs: number };
}

/** Runs a test with a log whose clock stands still unless the test moves it. */
async function withLog(
  test: (bench: Bench) => Promise<void>,
  options: {
    send?: (entry: LogEntry) => Promise<boolean>;
    limits?: Partial<SpoolLimits>;
    now?: () => number;
  } = {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "log_" });
  const spool = new Spool(join(folder, "task"), { limits: options.limits ?? {} });
  const entries: LogEntry[] = [];
  const clock = { nowMs: 0 };
  const now = () => clock.nowMs;
  const log = new TaskLog(spool, new SecretMask([]), { now: options.now ?? now });
  const run = async () => {
    for await (const pulled of log.entries()) {
      const entry = toLogEntry(pulled);
      if (!await (options.send?.(entry) ?? true)) return false;
      entries.push(entry);
      log.delivered(pulled);
    }
    return await log.isEmpty();
  };
  try {
    await test({ spool, log, run, entries, clock });
  } finally {
    await log.discard();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Lets so many entries be used, as the rows were. */
function useEntries(spool: Spool, count: number): void {
  const { streams, record } = spool.cursor;
  for (let i = 0; i < count; i++) spool.delivered({ streams, record });
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

/** Waits until all that was written is read, and it was looked for how long there is to wait. */
async function taken(spool: Spool): Promise<void> {
  await until(() => spool.unreadBytes === 0);
  await new Promise((resolve) => setTimeout(resolve, 0));
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
    const limits = round % 2 === 0 ? {} : { step: 3_000 };
    await withLog(async ({ log, run, entries, clock }) => {
      const running = run();
      const pushed: Record<LogStream, string> = { stdout: "", stderr: "", system: "" };
      for (let batch = 0; batch < 60; batch++) {
        const stream = STREAMS[Math.floor(Math.random() ** 2 * 3)] ?? "stdout";
        const lines = randomLines();
        pushed[stream] += lines;
        const safe = log.write(stream, lines, batch);
        if (Math.random() < 0.7) await safe;
        clock.nowMs += Math.random() * 300;
      }
      await log.write("stdout", "the end\n", 60);
      pushed.stdout += "the end\n";
      log.end();
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
  withLog(async ({ log, run, entries }) => {
    const expected: string[] = [];
    const numbers = (from: number, to: number, step = 1) =>
      Array.from({ length: (to - from) / step }, (_, i) => from + i * step);
    await log.write("stdout", numbers(0, 20).map((n) => `${n}\n`).join(""), 0);
    expected.push(...numbers(0, 20).map((n) => `stdout: ${n}`));
    for (let i = 20; i < 100; i++) {
      const stream = i % 2 === 0 ? "stdout" : "stderr";
      await log.write(stream, `${i}\n`, i);
      expected.push(`${stream}: ${i}`);
    }
    log.end();
    assert(await run());
    assert.deepEqual(textsOf(entries).slice(0, ROWS), expected.slice(0, ROWS));
    assert.equal(entries.length, ROWS + 2, "then each stream has one entry for the rest");
    assert.equal(entries[ROWS]?.line, numbers(60, 100, 2).join("\n"));
    assert.equal(entries[ROWS + 1]?.line, numbers(61, 101, 2).join("\n"));
  }));

Deno.test("20 000 lines at once are all within the first 100 entries", () =>
  withLog(async ({ log, run, entries }) => {
    const lines = Array.from({ length: 20_000 }, (_, i) => i);
    await log.write("stdout", lines.map((line) => `${line}\n`).join(""), 0);
    log.end();
    assert(await run());
    assert(entries.length <= 100, `${entries.length} entries`);
    assert.equal(entries.map(({ line }) => line).join("\n"), lines.join("\n"));
  }));

Deno.test("that the hidden line has come is known, also to the agent that comes next", async () => {
  const folder = await Deno.makeTempDir({ prefix: "log_" });
  const prefix = join(folder, "task");
  try {
    const logOf = (spool: Spool) => new TaskLog(spool, new SecretMask([]), { hidden: "begun" });
    const log = logOf(new Spool(prefix));
    await log.write("stderr", "profile\n");
    assert.equal(await log.isEmpty(), false);
    assert.equal(log.hasHidden, false);
    await log.write("stderr", "begun\nsaid\n");
    log.end();
    for await (const entry of log.entries()) log.delivered(entry);
    assert.equal(log.hasHidden, true);
    await log.close();
    const next = logOf(await Spool.recover(prefix, { onDamaged: () => Promise.reject() }));
    await next.catchUp();
    assert.equal(next.hasHidden, true);
    await next.discard();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what is hurried is packed from the first line on", () =>
  withLog(async ({ log, run, entries }) => {
    await log.write("stdout", "a\nb\nc\n", 0);
    log.hurry();
    log.end();
    assert(await run());
    assert.deepEqual(textsOf(entries), ["stdout: a\nb\nc"]);
  }));

Deno.test("a blank line that travels alone is a space, its time is RFC 3339", () =>
  withLog(async ({ log, run, entries }) => {
    await log.write("stdout", "\n", 1_500);
    log.end();
    assert(await run());
    assert.deepEqual(entries, [
      { stream: "stdout", line: " ", timestamp: "1970-01-01T00:00:01.500Z" },
    ]);
  }));

Deno.test("a line of the agent's own is cut, and holds nothing that the control plane cannot store", () =>
  withLog(async ({ log, run, entries }) => {
    await log.write("system", `a\0b\ud800c ${"x".repeat(5_000)}\n`, 0);
    log.end();
    assert(await run());
    assert.deepEqual(entries.map(({ line }) => line.length), [5_000, 6]);
    assert(entries[0]?.line.startsWith("a\ufffdb\ufffdc xx"));
  }));

Deno.test("lines wait for company by the given clock, and an entry that is full does not wait", () =>
  withLog(async ({ log, run, entries, clock }) => {
    const running = run();
    for (let i = 0; i < ROWS; i++) {
      await log.write("stdout", `${i}\n`, 0);
      await until(() => entries.length === i + 1);
    }
    entries.length = 5;
    // From here on the clock stands still: nothing can be late, so nothing may go.
    await log.write("stdout", "a\n", 0);
    await log.write("stdout", "b\n", 0);
    await log.write("stdout", "x".repeat(4_998) + "\n", 0);
    await until(() => entries.length === 6);
    assert.equal(entries[5]?.line, "a\nb", "it was full, the long line did not fit any more");
    clock.nowMs += 3_000;
    await log.write("stdout", "c\n", 0);
    await until(() => entries.length === 7);
    assert.equal(entries[6]?.line, "x".repeat(4_998) + "\nc", "its time was over");
    await log.write("stdout", "d\n", 0);
    log.end();
    assert(await running);
    assert.equal(entries[7]?.line, "d", "no more will come");
  }));

Deno.test("more company does not make a line wait longer", () =>
  withLog(async ({ log, run, spool, entries, clock }) => {
    useEntries(spool, ROWS); // From here on a line waits 2 s.
    const running = run();
    for (const [line, atMs] of [["a", 0], ["b", 1_900], ["c", 2_100]] as const) {
      clock.nowMs = atMs;
      await log.write("stdout", `${line}\n`, atMs);
      await taken(spool);
    }
    await until(() => entries.length > 0);
    assert.equal(entries[0]?.line, "a\nb\nc");
    log.end();
    assert(await running);
  }));

Deno.test("what waits for company alone is sent when its time is over", () =>
  // The real clock: nobody wakes this log but its own timer.
  withLog(async ({ spool, log, run, entries }) => {
    const running = run();
    useEntries(spool, ROWS);
    await log.write("stdout", "a\n", 0);
    await until(() => entries.length === 1);
    log.end();
    assert(await running);
  }, { now: () => performance.now() }));

Deno.test("no wake-up is lost, whenever lines come and whenever the end comes", async () => {
  // Pushes and the end are moved through every place of the delivery's own turns.
  for (let turns = 0; turns < 60; turns++) {
    await withLog(async ({ log, run, entries }) => {
      const running = run();
      const passTurns = async () => {
        for (let i = 0; i < turns; i++) await Promise.resolve();
      };
      await passTurns();
      const first = log.write("stdout", "a\n", 0);
      await passTurns();
      await log.write("stdout", "b\n", 0);
      await first;
      await passTurns();
      await log.write("stdout", "c\n", 0);
      log.end();
      assert(await running);
      assert.equal(entries.map(({ line }) => line).join("\n"), "a\nb\nc");
    });
  }
});

Deno.test("an entry that is not delivered stays, and is the first thing after a restart", () =>
  withLog(async ({ log, run, spool, entries }) => {
    await log.write("stdout", "a\n", 0);
    await log.write("stderr", "b\n", 0);
    await log.write("stdout", "c\n", 0);
    log.end();
    assert.equal(await run(), false);
    assert.deepEqual(textsOf(entries), ["stdout: a"]);
    const { streams: { stdout, stderr }, entries: used } = spool.cursor;
    assert.deepEqual([stdout.byte + stdout.units, stderr.byte + stderr.units, used], [2, 0, 1]);
  }, { send: (entry) => Promise.resolve(entry.line === "a") }));

Deno.test("stopping ends a delivery that waits, and one that sends after that entry", async () => {
  await withLog(async ({ log, run, entries }) => {
    await log.write("stdout", "a\n", 0);
    const running = run();
    await until(() => entries.length === 1);
    log.stop();
    assert.equal(await running, true, "nothing was left");
  });
  const sending = Promise.withResolvers<boolean>();
  await withLog(async ({ log, run, entries }) => {
    await log.write("stdout", "a\n", 0);
    await log.write("stderr", "b\n", 0);
    const running = run();
    await until(() => inFlight === 1);
    log.stop();
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
  withLog(async ({ spool, log, run, entries }) => {
    useEntries(spool, ROWS);
    await log.write("stderr", "alarm\n", 0);
    for (let i = 0; i < 50; i++) await log.write("stdout", "x".repeat(5_000) + "\n", 0);
    log.end();
    assert(await run());
    const place = entries.findIndex(({ line }) => line === "alarm");
    assert(place < 10, `the alarm came after ${place} entries of the flood`);
  }));

Deno.test("a delivery never goes back", () =>
  withLog(async ({ spool, log }) => {
    await log.write("stdout", "a\nb\n", 0);
    log.end();
    const pulled = [];
    for await (const entry of log.entries()) if (pulled.push(entry) === 2) break;
    for (const entry of pulled.toReversed()) log.delivered(entry);
    assert.equal(spool.cursor.streams.stdout.byte, 4);
  }));

Deno.test("all that was printed is in the summary, whether it was delivered or not", () =>
  withLog(async ({ log, run }) => {
    const lines = Array.from({ length: 3_000 }, (_, i) => `line ${i}\n`).join("");
    await log.write("stdout", lines);
    await log.write("stderr", "last");
    assert.equal(await run(), false);
    const summary = await log.summary();
    assert(summary.startsWith("line 0\nline 1\n"));
    assert(summary.endsWith("line 2999\n[stderr] last"));
    const whole = lines.length + "[stderr] last".length;
    const [head = "", leftOut, tail = ""] = summary.split(/\n\[… (\d+) characters left out …\]\n/);
    assert.equal(head.length + Number(leftOut) + tail.length, whole + 1);
  }, { send: () => Promise.resolve(false) }));

Deno.test("a line that is begun is shown after 2 s, one that is written over ever more rarely", () =>
  withLog(async ({ log, run, spool, entries, clock }) => {
    const running = run();
    let given = 0;
    /** Prints a state each second, and tells how many of them were shown. */
    const shownOf = async (states: number) => {
      const before = entries.length;
      for (let i = 0; i < states; i++) {
        clock.nowMs += 1_000;
        await log.write("stdout", `${given++}%\r`);
        await taken(spool);
      }
      return entries.length - before;
    };
    await log.write("stdout", "Go on? ");
    await taken(spool);
    assert.equal(entries.length, 0);
    clock.nowMs += 2_000;
    await log.write("stderr", "\n");
    await until(() => entries.length === 2);
    assert(entries.some(({ line }) => line === "Go on? "));
    const minute = await shownOf(60);
    assert(minute > 3 && minute <= 15, `${minute} states in the first minute`);
    const another = await shownOf(60);
    assert(another <= minute / 2, `${another} in the second`);
    log.end();
    assert(await running);
    assert.equal(entries.at(-1)?.line, "119%");
  }));
