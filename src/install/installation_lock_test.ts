import assert from "node:assert/strict";
import { TestMachine } from "./_test_machine.ts";
import { lockInstallation } from "./machine.ts";
import { uninstallAgent } from "./uninstall.ts";

Deno.test("one process at a time installs, and nothing is left of its lock", async () => {
  await using machine = await TestMachine.make();
  const busy = { name: "UserError", message: /by another process: wait for its end\.$/ };
  {
    await using _lock = await lockInstallation(machine.places);
    await assert.rejects(lockInstallation(machine.places), busy);
    const options = { purge: false, print: () => {}, warn: () => {} };
    await assert.rejects(uninstallAgent(machine, options), busy);
    assert.deepEqual(machine.calls, []);
  }
  await assert.rejects(Deno.lstat(`${machine.places.runtimeFolder}.lock`), Deno.errors.NotFound);
  // As one that was killed leaves it.
  await Deno.writeTextFile(`${machine.places.runtimeFolder}.lock`, "");
  await using _again = await lockInstallation(machine.places);
});
