import assert from "node:assert/strict";
import { join } from "@std/path";
import { FakeSystemd } from "./_test_fake_systemd.ts";
import { childHost } from "./child_host.ts";
import { UnitHost } from "./unit_host.ts";

const LIVING = { pid: 1, startTicks: "", bootId: "" };

/** A host of units with a folder of its own. */
async function withHost(
  test: (host: UnitHost, systemd: FakeSystemd, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "unit_host_" });
  const systemd = new FakeSystemd();
  const host = new UnitHost({
    ...{ manager: systemd, folder, children: childHost, startsUnits: true },
    ...{ limits: () => ({}), environment: {}, lookEveryMs: 1 },
  });
  try {
    await test(host, systemd, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Starts the unit of a task, which runs nothing. */
async function start(host: UnitHost, taskId: string) {
  const user = { name: "nobody", uid: Deno.uid() ?? 0 };
  const { signal } = new AbortController();
  const inUnit = { user, argv: ["true"] };
  const program = await host.start({ taskId, argv: ["true"], signal, inUnit });
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
    await host.release("t-1", program.group);
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
    for (const [job, expected] of [[undefined, ["noderax-agent.service"]], ["stop", undefined]]) {
      systemd.job = job?.toString();
      const program = await start(host, crypto.randomUUID());
      assert.deepEqual(before(), expected);
      const reading = Array.fromAsync(program.output);
      systemd.end({ code: 0 });
      await reading;
      await program.ended;
    }
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
    const waiting = host.waitFor("t-1", { ...LIVING, unit: program.group.unit }, 60_000);
    assert.ok((await printer.status).success);
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
