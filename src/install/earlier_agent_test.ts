import assert from "node:assert/strict";
import { join } from "@std/path";
import { FAILS, TestMachine } from "./_test_machine.ts";
import { account } from "./account.ts";
import { earlierAgent, hasEarlierAgent } from "./earlier_agent.ts";
import { configBefore } from "./earlier_config.ts";
import { installEnv, settings } from "./settings.ts";

const UNIT = "[Service]\nUser=noderax\nGroup=noderax\nExecStart=/opt/noderax-agent/noderax-agent\n";
const NOBODY = 65_534;

/** A machine with the agent in Go as its later releases install it. */
async function earlierMachine(): Promise<TestMachine> {
  const machine = await TestMachine.make();
  const { places } = machine;
  await Deno.mkdir(places.sudoersFolder, { recursive: true });
  await Deno.mkdir(places.helperFolder, { recursive: true });
  await Deno.mkdir(join(places.home, ".."), { recursive: true });
  const write = (folder: string, name: string, text: string) =>
    Deno.writeTextFile(join(folder, name), text, { mode: 0o440 });
  await write(places.sudoersFolder, "noderax-agent", "noderax ALL=(ALL) NOPASSWD:ALL\n");
  await write(places.sudoersFolder, "noderax-agent-root-access", "# off\n");
  await write(places.sudoersFolder, "ops", "ops ALL=(ALL) ALL\n");
  for (const name of ["self-update", "root-profile", "package-mutation", "task-root"]) {
    await write(places.helperFolder, `noderax-agent-${name}`, "#!/bin/sh\n");
  }
  await write(places.helperFolder, "other", "#!/bin/sh\n");
  await Deno.writeTextFile(places.unit, UNIT);
  machine.answers.getent = {
    stdout: `noderax:x:999:999::${places.stateFolder}:/usr/sbin/nologin`,
  };
  machine.answers["systemctl show"] = { stdout: "LoadState=loaded\nActiveState=active" };
  return machine;
}

Deno.test("what made the agent in Go root is removed and listed, and its user is one for tasks", async () => {
  await using machine = await earlierMachine();
  const { places } = machine;
  assert.equal(await hasEarlierAgent(machine), true);
  const { shown, thrown } = await machine.take(earlierAgent(machine), account(machine));
  assert.equal(thrown, undefined);
  assert.deepEqual(shown.split("\n"), [
    "Agent in Go: stopped; removed /etc/sudoers.d/noderax-agent, " +
    "/etc/sudoers.d/noderax-agent-root-access, /usr/local/libexec/noderax-agent-self-update, " +
    "/usr/local/libexec/noderax-agent-root-profile, " +
    "/usr/local/libexec/noderax-agent-package-mutation, " +
    "/usr/local/libexec/noderax-agent-task-root",
    "User for tasks: noderax, now with the home /home/noderax and /bin/bash",
    "",
  ]);
  const left = async (folder: string) =>
    await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  assert.deepEqual(await left(places.sudoersFolder), ["ops"]);
  assert.deepEqual(await left(places.helperFolder), ["other"]);
  const stop = machine.calls.indexOf("systemctl stop noderax-agent.service");
  const change = machine.calls.findIndex((call) => call.startsWith("/usr/sbin/usermod "));
  assert.ok(stop >= 0 && stop < change, String(machine.calls));
  assert.ok((await Deno.stat(places.home)).isDirectory);
});

Deno.test("a take-over that fails puts the agent in Go back and starts it", async () => {
  await using machine = await earlierMachine();
  const before = await machine.content();
  const { shown } = await machine.take(earlierAgent(machine), account(machine), FAILS);
  assert.doesNotMatch(shown, /Not undone/);
  assert.deepEqual(await machine.content(), before);
  const [change, start] = machine.calls.slice(-2);
  assert.match(
    change ?? "",
    /^\/usr\/sbin\/usermod --home \/var\/lib\/noderax-agent --shell \/usr\/sbin\/nologin --comment {2}noderax$/,
  );
  assert.equal(start, "systemctl start noderax-agent.service");
});

Deno.test("a user that is busy with more than the agent keeps its home, and the person is told", async () => {
  await using machine = await earlierMachine();
  machine.answers["/usr/sbin/usermod"] = { code: 8, stderr: "user noderax is currently used" };
  const { shown } = await machine.take(account(machine));
  assert.match(shown, /^User for tasks: noderax \(its home .*usermod --home.*\), unchanged\n$/);
});

Deno.test("a rule of sudo alone is an administrator's", async () => {
  await using machine = await earlierMachine();
  const { places } = machine;
  await Deno.remove(places.helperFolder, { recursive: true });
  assert.equal(await hasEarlierAgent(machine), true);
  await Deno.writeTextFile(places.unit, UNIT.replace("User=noderax\n", ""));
  assert.equal(await hasEarlierAgent(machine), false);
  await Deno.remove(places.unit);
  assert.equal(await hasEarlierAgent(machine), false);
});

Deno.test({
  name: "of a configuration that others could write counts what decides nothing (needs root)",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    await using machine = await TestMachine.make();
    const { places } = machine;
    const identity = { node_id: "n-1", agent_token: "t-1" };
    const harmless = { heartbeat_interval: "45s", realtime_enabled: false, log_level: "debug" };
    await Deno.mkdir(places.configFolder);
    await Deno.writeTextFile(
      places.config,
      JSON.stringify({
        ...identity,
        ...harmless,
        api_url: "https://elsewhere",
        api_tls_ca_file: "/var/lib/noderax-agent/ca.pem",
        run_as_user: "root",
        state_file: "/tmp/identity.json",
        metrics_interval: "never",
        task_timeout: "",
      }),
    );
    await Deno.chown(places.config, NOBODY, NOBODY);
    await Deno.chown(places.configFolder, NOBODY, NOBODY);
    const env = installEnv(places, () => undefined);

    const found = await configBefore(places, env);
    assert.match(found.others ?? "", /belongs to user 65534$/);
    assert.equal(found.config.apiUrl, undefined);

    const before = await machine.content();
    const step = settings(machine, { apiUrl: "https://here", env, warn: assert.fail });
    const failed = await machine.take(step, FAILS);
    assert.doesNotMatch(failed.shown, /Not undone/);
    assert.deepEqual(await machine.content(), before);

    const { shown, thrown } = await machine.take(step);
    assert.equal(thrown, undefined);
    assert.match(shown, /others could write the one before, which is in \/etc\/noderax-agent\.old/);
    assert.deepEqual(JSON.parse(await Deno.readTextFile(places.config)), {
      ...identity,
      ...harmless,
      api_url: "https://here",
      state_file: places.identity,
      run_as_user: "noderax",
    });
    assert.equal((await configBefore(places, env)).others, undefined);
  },
});
