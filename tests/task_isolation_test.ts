import assert from "node:assert/strict";
import { AgentProcess, Fleet } from "./_agent.ts";
import { CAN_BE_MAPPED, NEEDS_MAPPING } from "./_cli.ts";
import { agentCommand } from "./_command.ts";
import { examine } from "./_doctor.ts";

/** What systemd gives a service. */
const BY_SYSTEMD = { INVOCATION_ID: "0123456789abcdef0123456789abcdef" };
/** Maps the caller to another user id, whose reach is the caller's own. */
const mapped = (uid: number) => ["unshare", "-U", `--map-user=${uid}`, `--map-group=${uid}`];
/** The same in a container of its own that has no systemd. */
const container = [...mapped(0), "--mount", "sh", "-c", 'mount -t tmpfs none /run; exec "$0" "$@"'];

/** Where an agent can start no units, and what it says of that. */
const PLACES: { name: string; through: string[]; env: Record<string, string>; why: RegExp }[] = [
  {
    name: "which systemd has not started",
    ...{ through: mapped(0), env: {}, why: /^systemd has not started the agent$/ },
  },
  {
    name: "which is not root",
    ...{ through: mapped(1000), env: BY_SYSTEMD, why: /^only root may start units$/ },
  },
  {
    name: "in a rootless container without systemd",
    ...{ through: container, env: BY_SYSTEMD, why: /^systemd cannot be reached: \S.+$/ },
  },
];

for (const { name, through, env, why } of PLACES) {
  Deno.test({
    name: `an agent ${name} has tasks as its children, says why, and does not start where ` +
      `that is not wanted${NEEDS_MAPPING}`,
    ignore: !CAN_BE_MAPPED,
    async fn() {
      await using fleet = await Fleet.start();
      // Where `status` looks for an agent that is no service.
      const given = { ...env, RUNTIME_DIRECTORY: fleet.stateFolder, DENO_NO_UPDATE_CHECK: "1" };
      {
        await using agent = fleet.spawnAgent(given, { through });
        await agent.waitForLog("agent started");
        const [chosen, another] = agent.logged("tasks run as children of the agent");
        assert.equal(another, undefined);
        assert.match(String(chosen?.why), why);
        assert.equal((await fleet.ended(fleet.shell("true"))).status, "success");
        const asked = { NODERAX_CONFIG_FILE: fleet.configFile, ...given };
        const said = await agentCommand(["status"], { env: asked, through }).output();
        const shown = new TextDecoder().decode(said.stdout);
        const [, reason] = /as children of the agent: (.+)$/m.exec(shown) ?? [];
        assert.match(reason ?? shown, why);
        const { of } = await examine(fleet.configFile, { env: given, through });
        assert.ok(of("instance").includes(`tasks as its children (${reason})`));
        assert.equal((await agent.stop()).code, 0);
      }
      await fleet.configure({ task_isolation: "unit" });
      await using refused: AgentProcess = fleet.spawnAgent(given, { through });
      assert.equal((await refused.ended()).code, 1);
      const said = refused.otherOutput.join("\n");
      const [, reason] =
        /task_isolation is "unit", but tasks cannot run in units: (.+)\. Set it to "auto"\./
          .exec(said) ?? [];
      assert.match(reason ?? said, why);
      assert.doesNotMatch(said, /^\s+at /m);
    },
  });
}
