import assert from "node:assert/strict";
import { join } from "@std/path";
import { Fleet } from "./_agent.ts";
import { eventually, PATIENCE_MS, textOf } from "./_processes.ts";
import { untilThere } from "./_shell.ts";
import { tell, together } from "./_together.ts";

const POOP = "\u{1f4a9}";

Deno.test("what a task prints arrives as it was printed", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp } = fleet;
  await using _agent = await fleet.agent();

  /** Runs a command that must print this; gives the entries. */
  const prints = async (command: string, expected: string, stream = "stdout") => {
    const { id, status, logs } = await fleet.ended(fleet.shell(command));
    assert.equal(status, "success", cp.describe(id));
    assert.equal(cp.streamText(id, stream), expected);
    return logs;
  };
  /** Waits until the agent has read and written down a line. */
  const onDisk = async (id: string, line: string) => {
    const files = ["stdout", "stderr"].map((name) => join(fleet.tasksFolder, `${id}.${name}`));
    await eventually(`"${line}" on disk`, async () => {
      return (await Promise.all(files.map(textOf))).some((text) => text.includes(`${line}\n`));
    });
  };
  const seq = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

  await together({
    "a character in pieces": () =>
      prints(
        // With its last piece comes the line's end, so that no wait makes an entry of it before.
        String.raw`for b in '\360' '\237' '\222' '\251!\n'; do printf $b; sleep 0.1; done`,
        `${POOP}!`,
      ),
    "bytes that are no text": () => prints(String.raw`printf 'a\377b\300\n'`, "a\ufffdb\ufffd"),
    "a character that is cut off": () => prints(String.raw`printf 'a\342\202'`, "a\ufffd"),
    "NUL": () => prints(String.raw`printf 'a\000b\n\000\n'`, "a\ufffdb\n\ufffd"),
    "line ends of Windows": () => prints(String.raw`printf 'a\r\nb\r\n\r\nc\n'`, "a\nb\n \nc"),
    "a line end of Windows in pieces": () =>
      prints(String.raw`printf 'a\r'; sleep 0.2; printf '\nb\n'`, "a\nb"),
    "a progress bar": () => prints(String.raw`printf '1%%\r2%%\r3%%\n'`, "3%"),
    "2.4 MB of a progress bar": async () => {
      const id = fleet.shell(
        String.raw`seq -f '%.0f of 300000' 300000 | tr '\n' '\r'; echo; echo done`,
      );
      const { logs } = await fleet.ended(id);
      // A slow machine takes its time, and sees some states in between.
      assert.deepEqual(fleet.lines(id).slice(-2), ["300000 of 300000", "done"]);
      assert(logs.length <= 20, `${logs.length} entries`);
    },
    "a progress bar that takes its time": async () => {
      const go = join(fleet.folder, "progress");
      const id = fleet.shell(String.raw`printf '1%%\r2%%'; ${untilThere(go)}; printf '\r3%%\r\n'`);
      await cp.waitForTask(id, ({ logs }) => logs.some(({ line }) => line === "2%"));
      await Deno.writeTextFile(go, "");
      await fleet.ended(id);
      assert.equal(cp.streamText(id, "stdout"), "2%\n3%");
    },
    "a prompt": async () => {
      const go = join(fleet.folder, "answer");
      const id = fleet.shell(`printf 'Go on? '; ${untilThere(go)}; echo; echo yes`);
      await cp.waitForTask(id, ({ logs }) => logs.some(({ line }) => line === "Go on? "));
      await Deno.writeTextFile(go, "");
      await fleet.ended(id);
      assert.equal(cp.streamText(id, "stdout"), "Go on? \nyes");
    },
    // A row cannot be empty (contract: Tasks over HTTP).
    "blank lines": () => prints(String.raw`printf 'a\n\n\nb\n'`, "a\n \n \nb"),
    "a blank line that travels alone": async () => {
      const files = ["first", "second"].map((name) => join(fleet.folder, name));
      const [first = "", second = ""] = files;
      const id = fleet.shell(
        `echo a; ${untilThere(first)}; echo; ${untilThere(second)}; echo b`,
      );
      for (const [i, file] of files.entries()) {
        await cp.waitForTask(id, ({ logs }) => logs.length > i);
        await Deno.writeTextFile(file, "");
      }
      assert.equal((await fleet.ended(id)).status, "success");
      assert.equal(cp.streamText(id, "stdout"), "a\n \nb");
    },
    "blanks": () => prints("printf ' \\t\\n'", " \t"),
    "no newline at the end": () => prints("printf 'a\\nb'", "a\nb"),
    "an order mark": () => prints(String.raw`printf '\357\273\277a\n'`, "\ufeffa"),
    "stderr": () => prints("echo a >&2; echo b >&2", "a\nb", "stderr"),
    "a line that is too long": async () => {
      const logs = await prints(
        `printf %s $(yes ${POOP} | head -12000) | tr -d ' '`,
        [
          POOP.repeat(5_000),
          POOP.repeat(5_000),
          POOP.repeat(2_000),
        ].join("\n"),
      );
      assert(logs.every(({ line }) => [...line].length <= 5_000));
    },
    "streams that take turns": async () => {
      const expected = seq(1, 3).flatMap((i) => [`out ${i}`, `err ${i}`]);
      const parts = expected.map((line, i) =>
        `echo ${line}${line.startsWith("err") ? " >&2" : ""}; ${
          untilThere(join(fleet.folder, `turn${i}`))
        }`
      );
      const id = fleet.shell(parts.join("; "));
      // None is delivered before all are there.
      const held = cp.fault({ path: `${id}/logs`, status: 503 });
      for (const [i, line] of expected.entries()) {
        await onDisk(id, line);
        await Deno.writeTextFile(join(fleet.folder, `turn${i}`), "");
      }
      held.remove();
      const { logs } = await fleet.ended(id);
      assert.deepEqual(logs.flatMap(({ line }) => line.split("\n")), expected);
    },
    "times": async () => {
      const go = join(fleet.folder, "time to go on");
      const id = fleet.shell(`echo a; ${untilThere(go)}; echo b`);
      const held = cp.fault({ path: `${id}/logs`, status: 503 });
      await cp.waitFor(() => held.hits > 0, { what: "a to be sent" });
      const betweenMs = Date.now();
      await Deno.writeTextFile(go, "");
      await onDisk(id, "b");
      const afterMs = Date.now();
      held.remove();
      const { logs } = await fleet.ended(id);
      const [a = NaN, b = NaN] = logs.map(({ timestamp }) => Date.parse(timestamp ?? ""));
      assert.deepEqual(logs.map(({ line }) => line), ["a", "b"]);
      // They are those of the lines, whenever these are delivered.
      const story = [a, betweenMs, b, afterMs].join(" ");
      assert(a <= betweenMs && betweenMs <= b && b <= afterMs, story);
    },
    "the head and the tail of a long output": async () => {
      const { completion, output, outputTruncated } = await fleet.ended(fleet.shell("seq 20000"));
      const all = seq(1, 20_000).join("\n");
      const [head = "", leftOut, tail = ""] = completion?.output
        ?.split(/\n\[… (\d+) characters left out …\]\n/) ?? [];
      assert(all.startsWith(head) && all.endsWith(tail));
      assert.equal(
        head.length + Number(leftOut) + tail.length,
        all.length + 1,
        "the figure is right",
      );
      assert(head.length > 3_900 && tail.length > 3_900);
      assert.equal(output, completion?.output);
      assert(!outputTruncated);
    },
    "an output of surrogate pairs": async () => {
      const { completion } = await fleet.ended(
        fleet.shell(`yes x${POOP} | head -9999 | tr -d '\\n'`),
      );
      const text = completion?.output ?? "";
      assert(text.isWellFormed());
      assert(text.length > 7_800 && text.length <= 8_000);
    },
  });
  assert.deepEqual(cp.violations, []);
});

Deno.test("entries are a budget: 300 lines over 15 s are all within the first 100", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp } = fleet;
  await using _agent = await fleet.agent();
  const go = join(fleet.folder, "go");
  const count = (from: number, to: number) =>
    `for i in $(seq ${from} ${to}); do echo $i; sleep 0.05; done`;
  const id = fleet.shell(`${count(1, 5)}; ${untilThere(go)}; ${count(6, 300)}`);
  // Lines are shown while a task runs: an entry need not be full, nor the task over.
  const first = await cp.waitForTask(id, () => cp.operatorLog(id) === "1\n2\n3\n4\n5");
  const firstMs = (first.logs[0]?.receivedAt ?? NaN) - (first.startedAt ?? NaN);
  await Deno.writeTextFile(go, "");
  const { logs } = await fleet.ended(id, 2 * PATIENCE_MS);
  assert(logs.length <= 100, `${logs.length} entries`);
  assert.equal(cp.operatorLog(id), Array.from({ length: 300 }, (_, i) => i + 1).join("\n"));
  tell(`300 lines over 15 s: ${logs.length} entries, the first after ${Math.round(firstMs)} ms`);
});

Deno.test("100 000 lines arrive in order within seconds, however slow the calls are", async () => {
  const expected = Array.from({ length: 100_000 }, (_, i) => i + 1).join("\n");
  for (const latencyMs of [5, 20]) {
    await using fleet = await Fleet.start();
    const { controlPlane: cp } = fleet;
    await using agent = await fleet.agent();
    cp.fault({ path: "/logs", latencyMs });
    const id = fleet.shell("seq 100000");
    const { startedAt = NaN, endedAt = NaN, logs } = await fleet.ended(id);
    assert.equal(cp.streamText(id, "stdout"), expected);
    const peakMib = await agent.peakMemoryMib();
    tell(
      `100 000 lines at ${latencyMs} ms a call: ${Math.round(endedAt - startedAt)} ms, ` +
        `${logs.length} entries, peak memory ${peakMib.toFixed(0)} MiB`,
    );
    // Calls for each line would take minutes: the wait for the end has told that apart.
    assert(logs.length < 1_000, `${logs.length} entries`);
    assert(peakMib < 120);
    assert.equal(cp.maxInFlight(id), 1);
    assert.deepEqual(cp.violations, []);
  }
});

async function spoolBytes(folder: string, taskId: string): Promise<number> {
  let bytes = 0;
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.startsWith(`${taskId}.`) || name.endsWith(".json")) continue;
    bytes += 512 * ((await Deno.stat(join(folder, name))).blocks ?? 0);
  }
  return bytes;
}

Deno.test("a backlog waits on disk while the control plane is away", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp, tasksFolder } = fleet;
  await using agent = await fleet.agent();
  const away = cp.fault({ path: "/logs", status: 503 });
  const flag = join(fleet.folder, "printed");
  const id = fleet.shell(`seq -f 'line %.0f of a long story' 500000; touch ${flag}`);
  await eventually("the end of the printing", () => Deno.stat(flag).catch(() => undefined));
  const bytes = await eventually("the spool", async () => {
    const bytes = await spoolBytes(tasksFolder, id);
    return bytes > 13_000_000 ? bytes : undefined;
  });
  const peakMib = await agent.peakMemoryMib();
  away.remove();
  const { startedAt = NaN, endedAt = NaN, logs } = await fleet.ended(id, 2 * PATIENCE_MS);
  const expected = Array.from({ length: 500_000 }, (_, i) => `line ${i + 1} of a long story`);
  assert.equal(cp.streamText(id, "stdout"), expected.join("\n"));
  tell(
    `a backlog of ${(bytes / 1e6).toFixed(0)} MB: peak memory ${peakMib.toFixed(0)} MiB, ` +
      `${logs.length} entries after ${Math.round(endedAt - startedAt)} ms`,
  );
  assert(peakMib < 192);
  assert.deepEqual(cp.violations, []);
  await fleet.closed(id);
});

Deno.test("what many tasks print together waits on disk as well", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp } = fleet;
  await using agent = await fleet.agent();
  cp.fault({ path: "/logs", status: 503 });
  const line = "x".repeat(99);
  const ids = Array.from({ length: 24 }, () => fleet.shell(`yes ${line} | head -n 40000`));
  for (const id of ids) {
    await eventually(`the end of ${id}`, async () => {
      return (await textOf(join(fleet.tasksFolder, `${id}.json`))).includes('"outcome"');
    });
  }
  const peakMib = await agent.peakMemoryMib();
  tell(`24 tasks that print 4 MB each: peak memory ${peakMib.toFixed(0)} MiB`);
  assert(peakMib < 192);
});

Deno.test("of a backlog over 64 MB the tail is kept, and an entry tells what is missing", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp, tasksFolder } = fleet;
  await using agent = await fleet.agent();
  const away = cp.fault({ path: "/logs", status: 503 });
  const flag = join(fleet.folder, "printed");
  const lines = 900_000;
  const id = fleet.shell(
    `seq -f '%010.0f ${"x".repeat(89)}' ${lines}; echo the end >&2; touch ${flag}; sleep 1000`,
  );
  await eventually("the end of the printing", () => Deno.stat(flag).catch(() => undefined));
  const tail = async (stream: string) => {
    // What was printed may not have been read yet.
    const file = await Deno.open(join(tasksFolder, `${id}.${stream}`)).catch(() => undefined);
    if (!file) return "";
    const { size } = await file.stat();
    await file.seek(Math.max(0, size - 1_000), Deno.SeekMode.Start);
    return await new Response(file.readable).text();
  };
  // Two pipes are read side by side: which of the two last lines comes last is open.
  const lastLine = `\n${String(lines).padStart(10, "0")} x`;
  const isThere = async () => {
    const [stdout, stderr] = await Promise.all([tail("stdout"), tail("stderr")]);
    return stdout.includes(lastLine) && stderr.includes("the end\n");
  };
  await eventually("the last lines on disk, the tail being kept", isThere);
  const bytes = await spoolBytes(tasksFolder, id);
  assert(bytes < 64 * 1024 * 1024 + 3 * 4 * 1024 * 1024, `${bytes} bytes on disk`);

  away.remove();
  const note = await cp.waitFor(
    () => cp.task(id).logs.find(({ line }) => line.includes("left out")),
    { what: () => cp.describe(id) },
  );
  const { logs } = await cp.waitForTask(id, ({ logs }) => logs.at(-1) !== note);
  const numbers = logs.filter(({ stream }) => stream === "stdout")
    .flatMap(({ line }) => line.split("\n")).map((line) => Number(line.slice(0, 10)));
  const gaps = numbers.flatMap((n, i) => n === (numbers[i - 1] ?? 0) + 1 ? [] : [i]);
  assert.equal(gaps.length, 1, "one gap");
  const [gap = 0] = gaps;
  const missing = (numbers[gap] ?? NaN) - (numbers[gap - 1] ?? NaN) - 1;
  assert.equal(note.line, `[… ${missing} lines left out: more than could be delivered …]`);
  assert.equal(note.stream, "system");

  cp.cancelTask(id);
  assert.equal((await fleet.ended(id)).status, "cancelled");
  const peakMib = await agent.peakMemoryMib();
  tell(
    `over 64 MB: ${missing} of ${lines} lines left out, peak memory ${peakMib.toFixed(0)} MiB`,
  );
  assert(peakMib < 320);
  assert.deepEqual(cp.violations, []);
});
