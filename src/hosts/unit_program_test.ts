import assert from "node:assert/strict";
import { delay } from "@std/async";
import { FakeSystemd } from "./_test_fake_systemd.ts";
import { withFifos } from "./_test_fifos.ts";
import { signalNumber } from "../system/signal_number.ts";
import { NOT_LAUNCHED } from "./unit_launch.ts";
import { UnitProgram, type UnitProgramOptions } from "./unit_program.ts";

const SIGTERM = 15;

/** The units whose gates were opened, and those whose gates were let go of. */
const [opened, closed]: [FakeSystemd[], FakeSystemd[]] = [[], []];

/** A program in a fake unit, and the way to cancel it. */
async function withProgram(
  test: (
    program: UnitProgram,
    unit: FakeSystemd,
    cancel: AbortController,
    folder: string,
  ) => Promise<void>,
  start: (unit: FakeSystemd, cancel: AbortController) => Promise<void> = (unit) => {
    unit.begin();
    return Promise.resolve();
  },
  open = (unit: FakeSystemd) => Promise.resolve(void opened.push(unit)),
  askFirst?: UnitProgramOptions["askFirst"],
): Promise<void> {
  await withFifos(async (folder) => {
    const unit = new FakeSystemd();
    const cancel = new AbortController();
    const group = { pid: 1, startTicks: "", bootId: "", unit: "noderax-task-1.service" };
    const program = new UnitProgram({
      ...{ manager: unit, group, folder, signal: cancel.signal, askFirst },
      held: {
        gate: { open: () => open(unit), [Symbol.dispose]: () => void closed.push(unit) },
        start: () => start(unit, cancel),
      },
    });
    await test(program, unit, cancel, folder);
  });
}

/** Reads all that a program prints, and tells how it ended. */
async function endOf(program: UnitProgram) {
  for await (const _ of program.output);
  return await program.ended;
}

Deno.test("a program that is cancelled while systemd starts it does not run", async () => {
  await withProgram(async (program, unit) => {
    const stopped = new Promise<void>((resolve) => unit.onStop = resolve);
    await program.open();
    const end = await endOf(program);
    assert.deepEqual(end, { exitCode: 125, signal: undefined, unkillable: 0 });
    await stopped;
    assert.deepEqual(new Set(unit.stopped), new Set([program.group.unit]));
    assert.ok(!opened.includes(unit));
  }, async (unit, cancel) => {
    cancel.abort();
    // What would end it now has its time to see that there is nothing.
    await new Promise((turn) => setTimeout(turn));
    unit.begin();
  });
});

Deno.test("systemd out of reach while a program ends: how it ended is known all the same", async () => {
  await withProgram(async (program, unit) => {
    await program.open();
    unit.isInReach = false;
    unit.end({ code: 3 });
    assert.deepEqual(await endOf(program), { exitCode: 3, signal: undefined, unkillable: 0 });
  });
});

Deno.test("an end that systemd does not tell when it is asked is asked for again", async () => {
  await withProgram(async (program, unit) => {
    await program.open();
    unit.unanswered = 3;
    unit.end({ code: 3 });
    assert.equal((await endOf(program)).exitCode, 3);
  });
  const isOverBefore = (unit: FakeSystemd) => {
    unit.begin();
    unit.end({ code: 3 });
    unit.unanswered = 1;
    return Promise.resolve();
  };
  await withProgram(async (program) => {
    await program.open();
    assert.equal((await endOf(program)).exitCode, 3);
  }, isOverBefore);
});

Deno.test("systemd out of reach while a program is cancelled: its task ends", async () => {
  await withProgram(async (program, unit, cancel) => {
    await program.open();
    unit.isInReach = false;
    cancel.abort();
    assert.deepEqual(await endOf(program), { exitCode: 137, signal: "SIGKILL", unkillable: 1 });
    // It is ended when that is back.
    assert.deepEqual(unit.signals, []);
    unit.isInReach = true;
    while (unit.isRunning) await delay(1);
    assert.deepEqual(unit.signals, [SIGTERM]);
  });
});

Deno.test("systemd away while a program is cancelled that must not be cut short: it is asked to leave later", async () => {
  let asked = 0;
  const ask = () => Promise.resolve(void asked++);
  const askFirst = { ask, graceMs: 60_000 };
  await withProgram(
    async (program, unit, cancel) => {
      await program.open();
      unit.unanswered = 1;
      unit.isInReach = false;
      cancel.abort();
      assert.equal((await endOf(program)).unkillable, 1);
      assert.deepEqual([asked, unit.signals.length], [0, 0]);
      unit.isInReach = true;
      while (asked === 0) await delay(1);
      assert.deepEqual(unit.signals, []);
      unit.end({ code: 100 });
      while (unit.signals.length === 0) await delay(1);
    },
    undefined,
    undefined,
    askFirst,
  );
});

Deno.test("a unit that somebody else has started anew has ended as one that was stopped", async () => {
  await withProgram(async (program, unit) => {
    await program.open();
    // Its launch is told nothing then.
    unit.end({ signal: signalNumber(NOT_LAUNCHED) });
    assert.deepEqual(await endOf(program), { exitCode: 143, signal: "SIGTERM", unkillable: 0 });
  });
});

Deno.test("a start that waits for its turn is taken back by a cancel", async () => {
  await withProgram(async (program, unit) => {
    await program.open();
    assert.equal((await endOf(program)).exitCode, 125);
    assert.deepEqual(unit.stopped, [program.group.unit]);
  }, async (unit, cancel) => {
    const { promise, reject } = Promise.withResolvers<never>();
    unit.onStop = () => reject(new Error("canceled"));
    cancel.abort();
    await promise;
  });
});

Deno.test("a program whose output cannot be read does not begin", async () => {
  await withProgram(async (program, unit, _, folder) => {
    await Deno.remove(`${folder}/stderr`);
    const stopped = new Promise<void>((resolve) => unit.onStop = resolve);
    await assert.rejects(program.open(), /stderr/);
    await stopped;
    assert.ok(!opened.includes(unit));
  });
});

Deno.test("a gate that cannot be opened is let go of: who waits at it would wait for ever", async () => {
  const refuse = () => Promise.reject(new Error("its file is gone"));
  await withProgram(
    async (program, unit, cancel) => {
      await assert.rejects(program.open(), /its file is gone/);
      assert.ok(closed.includes(unit));
      cancel.abort();
      assert.equal((await endOf(program)).signal, "SIGTERM");
    },
    undefined,
    refuse,
  );
});
