import assert from "node:assert/strict";
import { join } from "@std/path";
import { account } from "./account.ts";
import { FAILS, makeBundle, TestMachine } from "./_test_machine.ts";
import { link, oldProgram, program, refuseForeignLink } from "./installed_program.ts";
import type { RunTool } from "../system/tool.ts";
import { findRelease } from "./release.ts";
import { settings } from "./settings.ts";
import { stateFolder } from "./state_folder.ts";
import type { Step } from "./steps.ts";
import { unitFile } from "./unit_file.ts";

/** The steps that make files, of a release whose program says `text`. */
async function fileSteps(machine: TestMachine, text: string) {
  const folder = join(machine.root, "run", text);
  const release = await findRelease(await makeBundle(folder, text));
  const env = (name: string) => name === "NODERAX_CONFIG_FILE" ? machine.places.config : undefined;
  return [
    account(machine),
    program(machine, release, text),
    link(machine),
    stateFolder(machine),
    settings(machine, { apiUrl: "https://here", env, warn: assert.fail }),
    unitFile(machine, () => Promise.resolve(`unit of ${text}`)),
  ];
}

Deno.test("an installation that fails leaves the machine as it was", async () => {
  await using machine = await TestMachine.make();
  const before = await machine.content();
  const { shown, thrown } = await machine.take(...await fileSteps(machine, "1"), FAILS);
  assert.match(String(thrown), /It rains/);
  assert.deepEqual(await machine.content(), before);
  assert.doesNotMatch(shown, /Not undone/);
  const reloads = machine.calls.filter((call) => call === "systemctl daemon-reload");
  assert.equal(reloads.length, 2);
});

Deno.test("an upgrade that fails puts back what was there, of a 1.x agent too", async () => {
  await using machine = await TestMachine.make();
  const { places } = machine;
  await Deno.mkdir(places.programFolder);
  await Deno.writeTextFile(places.program, "the agent in Go", { mode: 0o755 });
  await Deno.mkdir(places.configFolder);
  await Deno.writeTextFile(places.config, '{"api_url":"https://there"}');
  await Deno.chmod(places.config, 0o640);
  await Deno.mkdir(places.stateFolder, { mode: 0o750 });
  await Deno.writeTextFile(places.identity, "who it is", { mode: 0o644 });
  await Deno.writeTextFile(places.unit, "a unit of old");
  const before = await machine.content();
  const { shown } = await machine.take(...await fileSteps(machine, "2"), FAILS);
  assert.deepEqual(await machine.content(), before);

  await machine.take(...await fileSteps(machine, "2"));
  assert.equal(((await Deno.stat(places.identity)).mode ?? 0) & 0o777, 0o600);
  assert.match(shown, /^Program: 2 replaces the one in \/opt\/noderax-agent$/m);
  assert.doesNotMatch(shown, /Not undone/);
});

Deno.test("a program whose cache cannot be made is installed all the same", async () => {
  await using machine = await TestMachine.make();
  const { places, root } = machine;
  const release = await findRelease(await makeBundle(join(root, "run/1"), "1"));
  const run: RunTool = async (tool, ...args) => {
    const asked = await machine.run(tool, ...args);
    if (tool === "timeout") throw new Error("it hangs");
    return asked;
  };
  const { shown, thrown } = await machine.take(program({ places, run }, release, "1"));
  assert.equal(thrown, undefined);
  assert.match(shown, /^Program: 1 copied to/m);
  const asked = (folder: string) =>
    `timeout 60s /opt/noderax-agent/noderax-agent prepare-cache ${folder}`;
  const wanted = [asked("/opt/noderax-agent/cache"), asked("/var/cache/noderax-agent")];
  assert.deepEqual(machine.calls.filter((call) => call.includes("prepare-cache")), wanted);
});

Deno.test("what is a link stays one when an installation fails, and its target as it was", async () => {
  await using machine = await TestMachine.make();
  const { places } = machine;
  const contents = {
    config: '{"api_url":"https://there"}',
    unit: "a unit of old",
    identity: "who it is",
  };
  await Deno.mkdir(places.configFolder);
  await Deno.mkdir(places.stateFolder, { mode: 0o700 });
  for (const name of ["config", "unit", "identity"] as const) {
    const target = join(machine.root, "opt", name);
    await Deno.writeTextFile(target, contents[name]);
    await Deno.chmod(target, name === "unit" ? 0o644 : 0o600);
    await Deno.symlink(target, places[name]);
  }
  const before = await machine.content();
  const { shown, thrown } = await machine.take(...await fileSteps(machine, "1"), FAILS);
  assert.match(String(thrown), /It rains/);
  assert.deepEqual(await machine.content(), before);
  assert.doesNotMatch(shown, /Not rolled back/);
});

Deno.test("an installation ends in these files; the second leaves them as they are", async () => {
  await using machine = await TestMachine.make();
  const { places } = machine;
  const steps = await fileSteps(machine, "1");
  const first = await machine.take(...steps);
  assert.equal(first.thrown, undefined);
  const files = (await machine.content()).filter((line) => /noderax/.test(line));
  const config = { api_url: "https://here", state_file: places.identity, run_as_user: "noderax" };
  assert.deepEqual(files, [
    "etc/noderax-agent d 755",
    `etc/noderax-agent/config.json f 600 ${JSON.stringify(config, null, 2)}\n`,
    "etc/systemd/system/noderax-agent.service f 644 unit of 1",
    "opt/noderax-agent d 755",
    "opt/noderax-agent/lib d 755",
    "opt/noderax-agent/lib/deno f 755 deno",
    "opt/noderax-agent/noderax-agent f 755 1",
    `usr/local/bin/noderax-agent l 777 ${places.program}`,
    "var/lib/noderax-agent d 700",
  ]);
  assert.ok(
    machine.calls.some((call) => /^\/usr\/sbin\/useradd .*--user-group noderax$/.test(call)),
  );

  machine.calls.length = 0;
  const { shown } = await machine.take(...steps);
  assert.equal(shown.match(/, unchanged$/gm)?.length, steps.length, shown);
  assert.deepEqual(machine.calls, ["getent passwd noderax"]);
});

Deno.test("an upgrade replaces the program as a whole, also after one that was killed", async () => {
  await using machine = await TestMachine.make();
  const { places } = machine;
  await machine.take(...await fileSteps(machine, "1"));
  await Deno.rename(places.programFolder, oldProgram(places));
  await Deno.mkdir(`${places.programFolder}.new`);
  await machine.take(...await fileSteps(machine, "2"));
  assert.equal(await Deno.readTextFile(places.program), "2");
  assert.equal(await Deno.readTextFile(join(oldProgram(places), "noderax-agent")), "1");

  // Killed before the service was restarted: the service step is to know.
  const { shown } = await machine.take(...await fileSteps(machine, "2"));
  assert.match(shown, /^Program: 2 in \/opt\/noderax-agent$/m);
});

Deno.test("the program before is back at its place even where the new one cannot be removed", async () => {
  await using machine = await TestMachine.make();
  const { places } = machine;
  await machine.take(...await fileSteps(machine, "1"));
  const { remove } = Deno;
  const removeFails: Step = {
    name: "Disk",
    run: () => {
      Deno.remove = () => Promise.reject(new Error("the disk is worn"));
      return Promise.reject(new Error("It rains."));
    },
  };
  try {
    await machine.take(...await fileSteps(machine, "2"), removeFails);
  } finally {
    Deno.remove = remove;
  }
  assert.equal(await Deno.readTextFile(places.program), "1");
});

Deno.test("what tasks could write becomes root's alone", async () => {
  await using machine = await TestMachine.make();
  const { places } = machine;
  const steps = await fileSteps(machine, "1");
  await machine.take(...steps);
  for (const path of [places.config, places.configFolder]) {
    machine.owners[path] = "999:999";
    machine.calls.length = 0;
    await machine.take(...steps);
    assert.ok(machine.calls.some((call) => /^install .*root \/etc\/noderax-agent$/.test(call)));
    assert.ok(machine.calls.includes("chown root:root /etc/noderax-agent/config.json"));
    delete machine.owners[path];
  }

  machine.owners[places.stateFolder] = "999:999";
  await Deno.symlink("/etc/passwd", places.identity);
  const { thrown } = await machine.take(stateFolder(machine));
  assert.match(String(thrown), /agent_identity.json is a link/);
  assert.ok(!machine.calls.some((call) => /^chown .*identity/.test(call)));
});

Deno.test("of a state folder that others could write the identity alone is taken over", async () => {
  await using machine = await TestMachine.make();
  const { places } = machine;
  const identity = { node_id: "n-1", agent_token: "t-1", registered_at: "2026-01-01T00:00:00Z" };
  await Deno.mkdir(join(places.stateFolder, "tasks"), { recursive: true, mode: 0o755 });
  await Deno.writeTextFile(places.identity, JSON.stringify({ ...identity, planted: "x" }));
  await Deno.writeTextFile(join(places.stateFolder, "tasks", "planted.json"), "{}");
  const before = await machine.content();
  machine.owners[places.stateFolder] = "999:999";
  const failed = await machine.take(stateFolder(machine), FAILS);
  assert.match(String(failed.thrown), /It rains/);
  assert.deepEqual(await machine.content(), before);

  const { shown } = await machine.take(stateFolder(machine));
  assert.match(
    shown,
    /its identity is taken over, and the rest is set aside as \/var\/lib\/.*\.old/,
  );
  assert.deepEqual(JSON.parse(await Deno.readTextFile(places.identity)), identity);
  const names = await Array.fromAsync(Deno.readDir(places.stateFolder), ({ name }) => name);
  assert.deepEqual(names, ["agent_identity.json"]);
  assert.ok(
    (await Deno.stat(join(`${places.stateFolder}.old`, "tasks", "planted.json"))).isFile,
  );

  // A folder of root's is kept as it is, whatever is in it.
  delete machine.owners[places.stateFolder];
  await Deno.mkdir(join(places.stateFolder, "tasks"));
  const again = await machine.take(stateFolder(machine));
  assert.match(again.shown, /, unchanged\n$/);
  assert.ok((await Deno.stat(join(places.stateFolder, "tasks"))).isDirectory);
});

Deno.test("somebody else's command of that name is left alone", async () => {
  await using machine = await TestMachine.make();
  const { places } = machine;
  await Deno.symlink("/usr/bin/true", places.link);
  await assert.rejects(refuseForeignLink(places), { name: "UserError", message: /move it away/ });
  const { thrown } = await machine.take(link(machine));
  assert.match(String(thrown), /move it away/);
  assert.equal(await Deno.readLink(places.link), "/usr/bin/true");
});

Deno.test("a configuration that is there is kept, and only what a service needs is added", async () => {
  await using machine = await TestMachine.make();
  const { places } = machine;
  await Deno.mkdir(places.configFolder);
  const old = {
    mine: { kept: 1 },
    api_url: "https://there",
    state_file: "/srv/agent/identity.json",
    run_as_user: "deploy",
    heartbeat_interval: "20s",
  };
  await Deno.writeTextFile(places.config, JSON.stringify(old));
  await Deno.chmod(places.config, 0o640);
  const variables: Record<string, string> = { NODERAX_CONFIG_FILE: places.config };
  const env = (name: string) => variables[name];
  const saved = async () => JSON.parse(await Deno.readTextFile(places.config));

  await machine.take(settings(machine, { env, warn: assert.fail }));
  assert.deepEqual(await saved(), old);
  assert.equal(((await Deno.stat(places.config)).mode ?? 0) & 0o777, 0o600);

  variables.API_TLS_CA_FILE = "/etc/ssl/ours.pem";
  await machine.take(settings(machine, { apiUrl: "https://new", env, warn: assert.fail }));
  const added = { api_url: "https://new", api_tls_ca_file: "/etc/ssl/ours.pem" };
  assert.deepEqual(await saved(), { ...old, ...added });

  await machine.take(settings(machine, { logLevel: "warn", env, warn: assert.fail }));
  assert.deepEqual(await saved(), { ...old, ...added, log_level: "warn" });

  const example = JSON.parse(await Deno.readTextFile("config.example.json"));
  await Deno.writeTextFile(places.config, JSON.stringify(example));
  await machine.take(settings(machine, { env, warn: assert.fail }));
  assert.deepEqual(await saved(), {
    ...example,
    api_tls_ca_file: "/etc/ssl/ours.pem",
    state_file: places.identity,
    run_as_user: "noderax",
  });
});

Deno.test("what runs from source cannot be installed, a single binary can", async () => {
  const execPath = Deno.execPath();
  const fromSource = findRelease({ standalone: false, execPath });
  await assert.rejects(fromSource, { message: /deno@2\.9\.6 task install-service/ });
  const { parts } = await findRelease({ standalone: true, execPath });
  assert.deepEqual(parts, [{ from: await Deno.realPath(execPath), as: "noderax-agent" }]);
});
