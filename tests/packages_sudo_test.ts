import assert from "node:assert/strict";
import { join } from "@std/path";
import { parseRecord } from "../src/tasks/task_record.ts";
import { AgentProcess, Fleet } from "./_agent.ts";
import { CAN_CHANGE_PACKAGES, HELD, PackageRepository } from "./_packages.ts";
import { eventually, PATIENCE_MS } from "./_processes.ts";
import { SecondUser, sh } from "./_second_user.ts";

/** May read the sources, and become root by a program of the test's that stands for sudo. */
const MAY = "+dac_read_search,+setuid,+setgid";
const sudo = ({ env }: PackageRepository) =>
  `#!/bin/sh
[ "$1" = -n ] || exit 9
while [ "$1" != -- ]; do shift; done
export APT_CONFIG=${env.APT_CONFIG}
exec setpriv --reuid 0 --regid 0 --clear-groups --inh-caps=-all --ambient-caps=-all "$@"
`;

/** Starts an agent as a user who has sudo. */
async function agentOf(user: SecondUser, fleet: Fleet): Promise<AgentProcess> {
  const who = ["--reuid", user.name, "--regid", user.name, "--init-groups"];
  const through = ["setpriv", ...who, "--inh-caps", MAY, "--ambient-caps", MAY, "--"];
  await user.giveFetched();
  const agent = new AgentProcess(fleet.configFile, {
    through,
    env: { HOME: user.home, PATH: `${join(fleet.folder, "bin")}:${Deno.env.get("PATH")}` },
  });
  await agent.waitForLog("agent started");
  return agent;
}

/** The command line of the process that the journal names for a task. */
async function journaled(fleet: Fleet, taskId: string): Promise<string> {
  const text = await Deno.readTextFile(join(fleet.tasksFolder, `${taskId}.json`));
  const { process } = parseRecord(text);
  return await sh('tr "\\0" " " <"/proc/$1/cmdline"', String(process?.pid));
}

Deno.test(
  "apt under sudo outlives an agent that is killed, even one that has just asked it to stop",
  { ignore: !CAN_CHANGE_PACKAGES },
  async () => {
    await using repository = await PackageRepository.build([
      { suffix: "held", version: "1.0", postinst: HELD },
    ]);
    await using user = await SecondUser.make();
    await using fleet = await Fleet.start();
    await Deno.mkdir(join(fleet.folder, "bin"));
    await Deno.writeTextFile(join(fleet.folder, "bin", "sudo"), sudo(repository), { mode: 0o755 });
    await sh('chown -R "$1" "$2"; chmod 755 "$3"', user.name, fleet.folder, repository.folder);
    const names = [repository.name("held")];
    const id = fleet.controlPlane.queueTask({ type: "packageInstall", payload: { names } });
    try {
      {
        await using agent = await agentOf(user, fleet);
        const held = () => Deno.stat(repository.path("held")).catch(() => undefined);
        await eventually(
          "the held package",
          held,
          PATIENCE_MS,
          () => Promise.resolve(fleet.controlPlane.describe(id)),
        );
        assert.match(await journaled(fleet, id), /apt-get .* install /);
        fleet.controlPlane.cancelTask(id);
        const asked = () => fleet.controlPlane.streamText(id, "system").includes("asked to stop");
        await eventually("apt to be asked to stop", () => Promise.resolve(asked()));
        assert.match(await journaled(fleet, id), /apt-get .* install /);
        await agent.kill();
      }
      await using _next = await agentOf(user, fleet);
      await Deno.writeTextFile(repository.path("go"), "");
      await fleet.ended(id);
      await fleet.closed(id);
      assert.equal(await repository.state("held"), "installed 1.0");
      assert.deepEqual(fleet.controlPlane.violations, []);
    } finally {
      await Deno.writeTextFile(repository.path("go"), "");
    }
  },
);
