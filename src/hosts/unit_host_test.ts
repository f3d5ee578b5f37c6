import assert from "node:assert/strict";
import { delay } from "@std/async";
import { join } from "@std/path";
import { FakeSystemd } from "./_test_fake_systemd.ts";
import { childHost } from "./child_host.ts";
import { readinessClosed } from "../system/readiness.ts";
import { signalNumber } from "../system/signal_number.ts";
import { UnitHost } from "./unit_host.ts";
import { NOT_LAUNCHED } from "./unit_launch.ts";

const LIVING = { pid: 1, startTicks: "", bootId: "" };

function hostOf(systemd: FakeSystemd, folder: string, unknown: { unknownMs?: number } = {}) {
  return new UnitHost({
    ...{ manager: systemd, folder, children: childHost, startsUnits: true },
    ...{ limits: () => ({}), environment: {}, lookEveryMs: 1, ...unknown },
  });
}

/** A host of units with a folder of its own. */
async function withHost(
  test: (host: UnitHost, systemd: FakeSystemd, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "unit_host_" });
  const systemd = new FakeSystemd();
  try {
    await test(hostOf(systemd, folder), systemd, folder);
  } finally {
    await readinessClosed();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Starts the unit of a task, which runs nothing. */
async function start(host: UnitHost, taskId: string, isLook = false) {
  const user = { name: "nobody", uid: Deno.uid() ?? 0 };
  const { signal } = new AbortController();
  const inUnit = { user, argv: ["true"] };
  const program = await host.start({ taskId, argv: ["true"], signal, inUnit, isLook });
  await program.open();
  return program;
}

Deno.test("a unit goes when the last one has gone who lives on in it, and its pipes with it", async () => {
  await withHost(async (host, systemd, folder) => {
    const program = await start(host, "t-1");
    const reading = Array.fromAsync(program.output);
    systemd.end({ code: 0 });
    await reading;
    assert.equal((await program.ended).exitCode, 0);
    systemd.begin();
    // The host that saw its end knows that nobody lived on.
    await hostOf(systemd, folder).release("t-1", program.group);
    assert.deepEqual(systemd.stopped, []);
    assert.deepEqual((await Array.fromAsync(Deno.readDir(folder))).length, 1);
    const gone = new Promise<void>((resolve) => systemd.onStop = resolve);
    systemd.isRunning = false;
    await gone;
    assert.deepEqual(systemd.stopped, ["noderax-task-t-1.service"]);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  });
});

Deno.test("a unit is stopped after the service, but one that starts in its stop does not wait", async () => {
  await withHost(async (host, systemd) => {
    const before = () => systemd.properties.find(([name]) => name === "Before")?.[1].value;
    const shutdown = "shutdown.target";
    for (const job of [undefined, "stop"]) {
      const expected = job === "stop" ? [shutdown] : [shutdown, "noderax-agent.service"];
      systemd.job = job;
      const program = await start(host, crypto.randomUUID());
      assert.deepEqual(before(), expected);
      const reading = Array.fromAsync(program.output);
      systemd.end({ code: 0 });
      await reading;
      await program.ended;
    }
  });
});

Deno.test("a unit is started while its program is held back", async () => {
  await withHost(async (host, systemd, folder) => {
    const cancel = new AbortController();
    const inUnit = { user: { name: "nobody", uid: Deno.uid() ?? 0 }, argv: ["true"] };
    const { signal } = cancel;
    const started = new Promise<void>((resolve) => systemd.onStart = resolve);
    const program = await host.start({ taskId: "t-1", argv: ["true"], signal, inUnit });
    await started;
    assert.ok((await Deno.lstat(join(folder, "t-1", "gate"))).isFile);
    const stopped = new Promise<void>((resolve) => systemd.onStop = resolve);
    cancel.abort();
    await program.open();
    await stopped;
    assert.equal((await program.ended).exitCode, 125);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  });
});

Deno.test("what has waited at its gate until its agent died is begun anew, all else goes on", async () => {
  // Any exit code may be that of a command which was let run a moment before.
  const ends = [[{ signal: signalNumber(NOT_LAUNCHED) }, "not begun"], [{ code: 125 }, "object"]];
  for (const [end, expected] of ends as [{ code?: number }, string][]) {
    await withHost(async (host, systemd, folder) => {
      await Deno.mkdir(join(folder, "t-1"));
      for (const name of ["stdout", "stderr", "gate"]) {
        await new Deno.Command("mkfifo", { args: [join(folder, "t-1", name)] }).output();
      }
      systemd.begin();
      systemd.end(end);
      const { signal } = new AbortController();
      const group = { ...LIVING, unit: "noderax-task-t-1.service" };
      const found = await host.takeUp({ taskId: "t-1", signal }, group);
      if (typeof found === "string") {
        assert.equal(found, expected);
        assert.deepEqual(systemd.stopped, [group.unit]);
      } else {
        assert.equal(typeof found, expected);
        assert.equal(found.hadEnded, true);
        await Array.fromAsync(found.output);
        assert.equal((await found.ended).exitCode, end.code);
      }
    });
  }
});

Deno.test("a unit that an earlier agent has started, and not let run, is started anew", async () => {
  await withHost(async (host, systemd) => {
    systemd.there.add("noderax-task-t-1.service");
    const program = await start(host, "t-1");
    assert.deepEqual(systemd.stopped, [program.group.unit]);
    const reading = Array.fromAsync(program.output);
    systemd.end({ code: 0 });
    await reading;
    assert.equal((await program.ended).exitCode, 0);
  });
});

Deno.test("what an earlier agent has left goes on while it is waited for, however much it prints", async () => {
  await withHost(async (host, systemd, folder) => {
    const program = await start(host, "t-1");
    const reading = Array.fromAsync(program.output);
    program.leave?.();
    await reading;
    const fifo = join(folder, "t-1", "stdout");
    const printer = new Deno.Command("dd", {
      args: ["if=/dev/zero", `of=${fifo}`, "bs=1M", "count=3"],
      stderr: "null",
    }).spawn();
    const startMs = performance.now();
    const waiting = host.waitFor("t-1", { ...LIVING, unit: program.group.unit }, 60_000);
    assert.ok((await printer.status).success);
    // Nobody reads it: all else that the agent does comes first.
    assert.ok(performance.now() - startMs >= 200, "what nobody reads keeps the agent busy");
    systemd.isRunning = false;
    await waiting;
    await host.release("t-1", program.group);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  });
});

Deno.test("a program that was taken up is asked to leave before it is ended", async () => {
  await withHost(async (host, systemd) => {
    const before = await start(host, "t-1");
    const left = Array.fromAsync(before.output);
    before.leave?.();
    await left;
    const cancel = new AbortController();
    const asked = Promise.withResolvers<void>();
    const askFirst = {
      ask: () => {
        assert.deepEqual(systemd.signals, []);
        systemd.end({ code: 100 });
        return Promise.resolve(asked.resolve());
      },
      graceMs: 60_000,
    };
    const found = await host.takeUp(
      { taskId: "t-1", signal: cancel.signal, askFirst },
      before.group,
    );
    assert.ok(typeof found === "object");
    assert.equal(found.hadEnded, false);
    const reading = Array.fromAsync(found.output);
    cancel.abort();
    await asked.promise;
    await reading;
    assert.equal((await found.ended).exitCode, 100);
    await host.release("t-1", before.group);
  });
});

Deno.test("a task is swept by whether it is at work, whatever it is called", async () => {
  await withHost(async (host, systemd) => {
    const [busy, over] = ["noderax-task-look-1.service", "noderax-task-look-2.service"];
    systemd.listed = [busy, over, "noderax-task-look-1:look-3.service"];
    await host.sweep((taskId) => taskId === "look-1");
    assert.deepEqual(systemd.stopped, [over, "noderax-task-look-1:look-3.service"]);
  });
});

Deno.test("nothing is kept of a look that systemd does not start", async () => {
  await withHost(async (host, systemd, folder) => {
    systemd.refuses = true;
    const stopped = new Promise<void>((resolve) => systemd.onStop = resolve);
    await assert.rejects(start(host, "t-1", true), /systemd does not start its unit: it is masked/);
    await stopped;
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
    systemd.listed = systemd.stopped.splice(0);
    await host.sweep(() => true);
    assert.deepEqual(systemd.stopped, systemd.listed);
  });
});

/** Writes into the standard output of a unit, which somebody holds open for long enough. */
async function print(folder: string, unit: string, text: string): Promise<Disposable> {
  const path = join(folder, unit, "stdout");
  const file = await Deno.open(path, { read: true, write: true });
  await file.write(new TextEncoder().encode(text));
  return file;
}

/** All that a program prints. */
async function textOf({ output }: { output: AsyncIterable<{ bytes: Uint8Array }> }) {
  let text = "";
  for await (const { bytes } of output) text += new TextDecoder().decode(bytes);
  return text;
}

Deno.test("a further program of a task has a unit and an output of its own, whichever agent starts it", async () => {
  await withHost(async (host, systemd, folder) => {
    const first = await start(host, "t-1");
    using _first = await print(folder, "t-1", "one");
    systemd.end({ code: 100 });
    assert.equal(await textOf(first), "one");
    assert.equal((await first.ended).exitCode, 100);
    // What the first has left in the background prints on.
    using _late = await print(folder, "t-1", "late");

    const second = await start(host, "t-1");
    assert.equal(second.group.unit, "noderax-task-t-1:2.service");
    const left = textOf(second);
    second.leave?.();
    assert.equal(await left, "");
    using _second = await print(folder, "t-1:2", "two");
    const next = hostOf(systemd, folder);
    const { signal } = new AbortController();
    const found = await next.takeUp({ taskId: "t-1", signal }, second.group);
    assert.ok(typeof found === "object");
    systemd.end({ code: 0 });
    assert.equal(await textOf(found), "two");
    assert.equal((await found.ended).exitCode, 0);

    // An earlier agent had a third one started, and died before it wrote that down.
    systemd.there.add("noderax-task-t-1:3.service");
    await Deno.mkdir(join(folder, "t-1:3"));
    await new Deno.Command("mkfifo", { args: [join(folder, "t-1:3", "stdout")] }).output();
    using _before = await print(folder, "t-1:3", "before");
    const third = await start(next, "t-1");
    assert.equal(third.group.unit, "noderax-task-t-1:3.service");
    assert.ok(systemd.stopped.includes(third.group.unit));
    using _third = await print(folder, "t-1:3", "three");
    systemd.end({ code: 3 });
    assert.equal(await textOf(third), "three");
    assert.equal((await third.ended).exitCode, 3);
    // Either agent removes the unit of the first: the other one may have died before it did.
    const stopsOf = (unit: string) => systemd.stopped.filter((each) => each === unit).length;
    while (stopsOf(first.group.unit ?? "") < 2 || stopsOf(second.group.unit ?? "") < 1) {
      await delay(1);
    }
  });
});

Deno.test("the unit of a program before stays until the next one is let run, and goes with its task else", async () => {
  await withHost(async (host, systemd, folder) => {
    const first = await start(host, "t-1");
    const reading = Array.fromAsync(first.output);
    systemd.end({ code: 100 });
    await reading;
    await first.ended;
    // The agent leaves before the second one may run: the record in force is that of the first.
    const cancel = new AbortController();
    const inUnit = { user: { name: "nobody", uid: Deno.uid() ?? 0 }, argv: ["true"] };
    const command = { taskId: "t-1", argv: ["true"], inUnit, signal: cancel.signal };
    const second = await host.start(command);
    cancel.abort();
    await second.open();
    await systemd.stopOf("noderax-task-t-1:2.service");
    systemd.refuses = true;
    await assert.rejects(start(host, "t-1"), /it is masked/);
    assert.ok(!systemd.stopped.includes("noderax-task-t-1.service"), "it is gone");
    systemd.end({ code: 100 });
    const { signal } = new AbortController();
    const found = await hostOf(systemd, folder).takeUp({ taskId: "t-1", signal }, first.group);
    assert.ok(typeof found === "object");
    await Array.fromAsync(found.output);
    assert.equal((await found.ended).exitCode, 100);
    await host.release("t-1", second.group);
    assert.ok(systemd.stopped.includes("noderax-task-t-1.service"), "it is kept");
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  });
});

Deno.test("a program that was begun anew goes by the same unit, and the one before goes then", async () => {
  await withHost(async (host, systemd, folder) => {
    const [before, unit] = ["noderax-task-t-1.service", "noderax-task-t-1:2.service"];
    for (const name of ["t-1", "t-1:2"]) {
      await Deno.mkdir(join(folder, name));
      await Deno.writeTextFile(join(folder, name, "gate"), "");
    }
    const { signal } = new AbortController();
    assert.equal(await host.takeUp({ taskId: "t-1", signal }, { ...LIVING, unit }), "not begun");
    assert.deepEqual(systemd.stopped, []);
    const program = await start(host, "t-1");
    assert.equal(program.group.unit, unit);
    const reading = Array.fromAsync(program.output);
    systemd.end({ code: 0 });
    await reading;
    while (systemd.stopped.length === 0) await delay(1);
    await host.release("t-1", program.group);
    assert.deepEqual(systemd.stopped, [before, unit]);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  });
});

Deno.test("of a task whose program nobody knows any more all units are ended, but a change may finish", async () => {
  await withHost(async (_, systemd, folder) => {
    const taskId = crypto.randomUUID();
    const unit = `noderax-task-${taskId}:2.service`;
    systemd.listed = [unit, "noderax-task-other.service"];
    systemd.begin();
    const ended = hostOf(systemd, folder).end(taskId, undefined);
    // It may be changing packages.
    await delay(10);
    assert.deepEqual(systemd.signals, []);
    systemd.isRunning = false;
    assert.equal(await ended, 0);
    systemd.signals.length = 0;
    systemd.begin();
    assert.equal(await hostOf(systemd, folder, { unknownMs: 0 }).end(taskId, undefined), 0);
    assert.deepEqual(systemd.signals, [signalNumber("SIGTERM")]);
  });
});

Deno.test("of a task whose program nobody knows any more all units go, also who waits at a gate", async () => {
  await withHost(async (_, systemd, folder) => {
    const [unit, held] = ["noderax-task-t-1.service", "noderax-task-t-1:2.service"];
    const other = "noderax-task-other.service";
    systemd.listed = [unit, other];
    for (const name of ["t-1", "t-1:2", "other"]) await Deno.mkdir(join(folder, name));
    await hostOf(systemd, folder).release("t-1", undefined);
    assert.deepEqual(systemd.stopped.toSorted(), [unit, held]);
    const folders = () => Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    assert.deepEqual(await folders(), ["other"]);
    await Deno.mkdir(join(folder, "t-1"));
    await Deno.writeTextFile(join(folder, "t-1", "gate"), "");
    systemd.begin();
    await hostOf(systemd, folder).release("t-1", undefined);
    assert.deepEqual(systemd.stopped.slice(2), [unit]);
    assert.deepEqual(await folders(), ["other"]);
  });
});

Deno.test("a unit that cannot be removed while systemd is away goes when that is back", async () => {
  await withHost(async (host, systemd, folder) => {
    const program = await start(host, "t-1");
    program.leave?.();
    await Array.fromAsync(program.output);
    systemd.isRunning = false;
    systemd.unanswered = 2;
    await assert.rejects(host.release("t-1", program.group), /not answered/);
    while (systemd.stopped.length === 0) await delay(1);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  });
});

Deno.test("where not even the pipes of a unit can be had, a sentence says so", async () => {
  const file = await Deno.makeTempFile({ prefix: "unit_host_" });
  try {
    const host = hostOf(new FakeSystemd(), join(file, "tasks"));
    assert.match(await host.probe() ?? "", /Not a directory/);
  } finally {
    await Deno.remove(file);
  }
});
