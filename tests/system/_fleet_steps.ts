import assert from "node:assert/strict";
import { VERSION } from "../../src/system/version.ts";
import { tell } from "../_together.ts";
import { runs, shown } from "./_deb_steps.ts";
import { BUNDLES, FLEET, type Scene, type Steps } from "./_scene.ts";

/** Where the machine sees Ansible. */
export const ANSIBLE = "/srv/ansible-core";

/** A machine of a fleet, set up by Ansible. */
export const FLEET_STEPS: Steps = {
  "the Ansible role installs, enrolls and configures": async (scene) => {
    const variables = {
      noderax_agent_api_url: scene.controlPlane.url,
      noderax_agent_bootstrap_token: scene.addInstall(),
      noderax_agent_config: { shutdown_timeout: "4s" },
    };
    const { changed, text } = await playbook(scene, "first.deb", variables);
    tell(`\n# ansible-playbook     (a first installation)\n${text}`);
    assert.ok(changed > 0);
    await runs(scene, VERSION);
    assert.match(await scene.tells("config", "show"), /shutdown_timeout\s+4s/);
  },

  "run again it changes nothing": async (scene) => {
    const pid = await scene.property("MainPID");
    const { changed, text } = await playbook(scene, "first.deb", {
      noderax_agent_config: { shutdown_timeout: "4s" },
    });
    assert.equal(changed, 0, text);
    assert.equal(await scene.property("MainPID"), pid);
  },

  "with another package it upgrades, and changes nothing else": async (scene) => {
    const { changed, text } = await playbook(scene, "next.deb");
    tell(`\n# ansible-playbook     (an upgrade)\n${text}`);
    // The package's copy, and the package.
    assert.equal(changed, 2, text);
    await runs(scene, scene.bundles.nextVersion);
  },
};

/** Runs the playbook on the machine itself; gives how many of its tasks have changed something. */
async function playbook({ machine }: Scene, file: string, variables: Record<string, unknown> = {}) {
  const extra = JSON.stringify({ noderax_agent_package: `${BUNDLES}/${file}`, ...variables });
  const inventory = ["--inventory", "localhost,", "--connection", "local"];
  const program = `${ANSIBLE}/bin/ansible-playbook`;
  const env = ["env", `PYTHONPATH=${ANSIBLE}`, "ANSIBLE_NOCOLOR=1"];
  const play = [`${FLEET}/ansible/playbook.yml`, "--extra-vars", extra];
  const ran = await machine.run(...env, "python3", program, ...inventory, ...play);
  const changed = /changed=(\d+)/.exec(ran.stdout)?.[1];
  assert.equal(ran.code, 0, shown(ran));
  return { changed: Number(changed), text: ran.stdout };
}
