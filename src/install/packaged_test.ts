import assert from "node:assert/strict";
import { dirname, join } from "@std/path";
import { UserError } from "../system/user_error.ts";
import { requireOwnLife } from "./machine.ts";
import { FAILS, makeBundle, TestMachine } from "./_test_machine.ts";
import { findRelease, refuseOverPackage, refuseToRemovePackage } from "./release.ts";
import { uninstallAgent } from "./uninstall.ts";
import { LOCK_DOWN_DROP_IN } from "./unit.ts";
import { packagedUnit } from "./unit_file.ts";
import { configSchema } from "../config/mod.ts";

/** A machine on which a package has installed the agent. */
async function packagedMachine(kind: string): Promise<TestMachine> {
  const machine = await TestMachine.make();
  await makeBundle(machine.places.programFolder, "packaged");
  await Deno.writeTextFile(machine.places.packageMark, `${kind}\n`);
  return machine;
}

Deno.test("another release is not put over what a package has installed", async () => {
  await using machine = await packagedMachine("deb");
  const other = await findRelease(await makeBundle(join(machine.root, "run/other"), "other"));
  await assert.rejects(
    refuseOverPackage(machine.places, other),
    (error) =>
      error instanceof UserError &&
      /apt-get install \.\/FILE\.deb.*apt-get remove/.test(error.message),
  );
  const { programFolder } = machine.places;
  await refuseOverPackage(machine.places, {
    folder: await Deno.realPath(programFolder),
    parts: [],
    program: machine.places.program,
  });
  await Deno.remove(machine.places.packageMark);
  await refuseOverPackage(machine.places, other);
});

Deno.test("uninstall leaves a package to its package manager", async () => {
  for (
    const [kind, remove] of [["deb", /`sudo apt-get remove/], ["rpm", /`sudo dnf remove/]] as const
  ) {
    await using machine = await packagedMachine(kind);
    const before = await machine.content();
    const options = { purge: true, print: () => {}, warn: () => {} };
    await assert.rejects(uninstallAgent(machine, options), { name: "UserError", message: remove });
    assert.deepEqual(await machine.content(), before);
  }
});

Deno.test("a mark of an unknown kind is a sentence", async () => {
  await using machine = await packagedMachine("egg");
  await assert.rejects(refuseToRemovePackage(machine.places), /names no kind of package: "egg"/);
});

Deno.test("the unit of a package stays, and says so when it does not wait long enough", async () => {
  await using machine = await TestMachine.make();
  for (const [shutdown_timeout, warnings] of [["20s", 0], ["1h", 1]] as const) {
    const said: string[] = [];
    const config = () =>
      Promise.resolve(configSchema.parse({ shutdownTimeoutMs: shutdown_timeout }));
    const { shown } = await machine.take(packagedUnit(machine, config, (text) => said.push(text)));
    assert.equal(shown, "Unit: the package's, unchanged\n");
    assert.equal(said.length, warnings);
    assert.match(said[0] ?? "TimeoutStopSec=3720s", /TimeoutStopSec=3720s/);
  }
  await assert.rejects(Deno.lstat(machine.places.unit));
  await assert.rejects(Deno.lstat(`${machine.places.unit}.d`));
  await assert.rejects(Deno.lstat(dirname(machine.places.program)));
});

Deno.test("what locks the unit of a package down goes where tasks are children, and comes back", async () => {
  await using machine = await TestMachine.make();
  const mask = `${machine.places.unit}.d/${LOCK_DOWN_DROP_IN}`;
  const dropIn = () => Deno.readTextFile(mask).catch(() => undefined);
  const unit = (taskIsolation: string, stateFile?: string) => {
    const config = () => Promise.resolve(configSchema.parse({ taskIsolation, stateFile }));
    return packagedUnit(machine, config, assert.fail);
  };
  const own = "/srv/agent/identity.json";
  const with_ = "the package's, with /etc/systemd/system/noderax-agent.service.d/locked-down.conf";
  for (
    const [taskIsolation, stateFile, expected, words] of [
      ["unit", undefined, /^$/, "the package's, unchanged"],
      ["child", undefined, /^# Tasks would inherit/, with_],
      ["child", undefined, /^# Tasks would inherit/, "the package's, unchanged"],
      ["unit", own, /^NoNewPrivileges=yes$[^]*^ReadWritePaths="-\/srv\/agent"$/m, with_],
      ["unit", undefined, /^$/, "the package's"],
    ] as const
  ) {
    const { shown } = await machine.take(unit(taskIsolation, stateFile));
    assert.equal(shown, `Unit: ${words}\n`);
    assert.match(await dropIn() ?? "", expected);
    const reloads = machine.calls.splice(0).filter((call) => call.includes("daemon-reload"));
    assert.equal(reloads.length, words.includes("unchanged") ? 0 : 1);
  }
  await machine.take(unit("child"), FAILS);
  assert.equal(await dropIn(), undefined);
});

Deno.test("a task or a terminal in a unit does not remove the agent from under itself", async () => {
  await using machine = await TestMachine.make();
  const options = { purge: false, print: () => {}, warn: () => {} };
  for (const kind of ["task", "terminal"]) {
    machine.cgroups = () => `0::/noderax.slice/noderax-${kind}-1.service`;
    await assert.rejects(
      uninstallAgent(machine, options),
      /systemd-run --pipe --wait noderax-agent/,
    );
    requireOwnLife(machine, "noderax-agent install");
  }
});
