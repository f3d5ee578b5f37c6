import assert from "node:assert/strict";
import { BusClosedError } from "../system/sd_bus.ts";
import { withFifos } from "./_test_fifos.ts";
import { UnitProgram, type UnitProgramOptions } from "./unit_program.ts";

type Manager = UnitProgramOptions["manager"];

/** A unit with one process, as systemd would tell of it. */
class FakeUnit implements Manager {
  /** The signals that its processes got. */
  readonly signals: number[] = [];
  isRunning = false;
  isInReach = true;
  #end = [0, 0];
  #tell = () => {};

  /** Ends the main process: by exit code, or by signal. */
  end({ code = 0, signal = 0 }): void {
    this.isRunning = false;
    this.#end = signal > 0 ? [2, signal] : [1, code];
    this.#tell();
  }

  property(_unit: string, _face: string, name: string): Promise<number | string> {
    const [code = 0, status = 0] = this.#end;
    const all = { ExecMainCode: code, ExecMainStatus: status, ActiveState: "active" };
    return Promise.resolve(new Map<string, number | string>(Object.entries(all)).get(name) ?? "");
  }

  processes(): Promise<number[]> {
    if (!this.isInReach) return Promise.reject(new BusClosedError("away"));
    return Promise.resolve(this.isRunning ? [4_000_000] : []);
  }

  kill(_unit: string, _who: string, signal: number): Promise<void> {
    if (!this.isInReach) return Promise.reject(new BusClosedError("away"));
    this.signals.push(signal);
    if (this.isRunning) this.end({ signal });
    return Promise.resolve();
  }

  watch(_unit: string, onChange: () => void): Disposable {
    this.#tell = onChange;
    return { [Symbol.dispose]: () => {} };
  }
}

/** A program in a fake unit, and the way to cancel it. */
async function withProgram(
  test: (program: UnitProgram, unit: FakeUnit, cancel: AbortController) => Promise<void>,
  start: (unit: FakeUnit, cancel: AbortController) => Promise<void> = (unit) => {
    unit.isRunning = true;
    return Promise.resolve();
  },
): Promise<void> {
  await withFifos(async (folder) => {
    const unit = new FakeUnit();
    const cancel = new AbortController();
    const group = { pid: 1, startTicks: "", bootId: "", unit: "noderax-task-1.service" };
    const program = new UnitProgram({
      ...{ manager: unit, group, folder, signal: cancel.signal },
      start: () => start(unit, cancel),
    });
    await test(program, unit, cancel);
  });
}

/** Reads all that a program prints, and tells how it ended. */
async function endOf(program: UnitProgram) {
  for await (const _ of program.output);
  return await program.ended;
}

Deno.test("a program that is cancelled while systemd starts it is ended", async () => {
  await withProgram(async (program, unit) => {
    await program.open();
    const end = await endOf(program);
    assert.deepEqual(end, { exitCode: 143, signal: "SIGTERM", unkillable: 0 });
    assert.deepEqual(unit.signals, [15]);
  }, async (unit, cancel) => {
    cancel.abort();
    // What would end it now has its time to see that there is nothing.
    await new Promise((turn) => setTimeout(turn));
    unit.isRunning = true;
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

Deno.test("systemd out of reach while a program is cancelled: its task ends", async () => {
  await withProgram(async (program, unit, cancel) => {
    await program.open();
    unit.isInReach = false;
    cancel.abort();
    assert.deepEqual(await endOf(program), { exitCode: 137, signal: "SIGKILL", unkillable: 1 });
  });
});
