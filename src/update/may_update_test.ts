import assert from "node:assert/strict";
import { TestMachine } from "../install/_test_machine.ts";
import { requireWanted, updateOrigin } from "./may_update.ts";
import type { UpdateRecord } from "./update_record.ts";

const SOURCE = "https://releases.example.com";
const KEY = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
const CONFIG = { updateSource: SOURCE, updatePublicKey: KEY };

/** A machine with a service and a configuration. */
async function installed(): Promise<TestMachine> {
  const machine = await TestMachine.make();
  await Deno.mkdir(machine.places.programFolder);
  await Deno.mkdir(machine.places.configFolder);
  await Deno.writeTextFile(machine.places.program, "");
  await Deno.writeTextFile(machine.places.config, "{}");
  machine.answers["systemctl show"] = { stdout: "LoadState=loaded\nActiveState=active" };
  return machine;
}

Deno.test("an agent that cannot update itself says what to do instead", async () => {
  await using machine = await installed();
  const refusal = async (config: Parameters<typeof updateOrigin>[0], message: RegExp) =>
    await assert.rejects(updateOrigin(config, machine), { name: "UserError", message });
  await refusal(
    {},
    /^this node is upgraded by its package: (it runs from source|start its container)/,
  );
  await refusal({ updateSource: SOURCE }, /update_public_key is not set, and unsigned code/);
  await refusal({ ...CONFIG, updatePublicKey: "AAAA" }, /"AAAA" is no Ed25519 public key/);
  for (const [kind, command] of [["deb", "apt-get install"], ["rpm", "dnf install"]] as const) {
    await Deno.writeTextFile(machine.places.packageMark, `${kind}\n`);
    await refusal(
      CONFIG,
      new RegExp(`^this node is upgraded by its package: run .sudo ${command}`),
    );
  }
  await Deno.remove(machine.places.packageMark);
  machine.answers["systemctl show"] = { code: 1 };
  await refusal(CONFIG, /only as root and as a service of systemd/);
});

Deno.test({
  name: "a source is believed from a configuration that is root's alone (needs root)",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    await using machine = await installed();
    assert.deepEqual(await updateOrigin(CONFIG, machine), { source: SOURCE, keys: KEY });
    await Deno.chown(machine.places.config, 65_534, 65_534);
    await assert.rejects(updateOrigin(CONFIG, machine), /are not trusted, because .* user 65534/);
  },
});

Deno.test("a version that is older, or failed before, is not wanted", () => {
  const failed = { version: "2.2.0", at: "2026-01-01T00:00:00.000Z", why: "It broke." };
  const record: UpdateRecord = { version: 1, rolledBack: [failed] };
  const wanted = (targetVersion: string, options: { rollback?: boolean; byPerson?: boolean }) => {
    const { rollback = false, byPerson = false } = options;
    const request = { targetVersion, rollback, targetId: byPerson ? undefined : "target-1" };
    requireWanted(request, record, "2.1.0");
  };
  wanted("2.1.1", {});
  wanted("2.1.0", {});
  wanted("2.0.0", { rollback: true });
  assert.throws(() => wanted("2.0.0", {}), /2\.0\.0 is older than 2\.1\.0, which runs/);
  assert.throws(() => wanted("2.1.0-rc.1", {}), /only a rollback goes back/);
  for (const rollback of [false, true]) {
    assert.throws(
      () => wanted("2.2.0", { rollback }),
      /2\.2\.0 failed here .*It broke\.\) and is not/,
    );
  }
  wanted("2.2.0", { byPerson: true });
});
