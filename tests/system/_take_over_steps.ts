import assert from "node:assert/strict";
import { INSTALLED, SERVICE } from "../../src/system/paths.ts";
import { VERSION } from "../../src/system/version.ts";
import { tell } from "../_together.ts";
import { apt, endsWhole, runs, shown } from "./_deb_steps.ts";
import type { Ran } from "./_machine.ts";
import { BUNDLES, type Scene, type Steps } from "./_scene.ts";
import { install, INSTALL_OLD, OLD_PROGRAM, OLD_UNIT } from "./_unattended_steps.ts";

const PACKAGED_UNIT_PATH = /^(\/usr)?\/lib\/systemd\/system\/noderax-agent\.service$/;

/** A package where something else has installed the agent, and an RPM one. */
export const TAKE_OVER_STEPS: Steps = {
  "over a program that `install` made, the package takes over and the agent runs on": async (
    scene,
  ) => {
    const { machine, controlPlane, bundles } = scene;
    assert.equal((await install(scene, scene.addInstall())).code, 0);
    await scene.well();
    const kept = ["sha256sum", INSTALLED.identity, INSTALLED.config];
    const before = await machine.output(...kept);
    const nodes = controlPlane.nodes.length;
    const installed = await apt(scene, "install", `${BUNDLES}/next.deb`);
    tell(`\n# apt-get install next.deb     (over an installed program)\n${shown(installed)}`);
    assert.equal(installed.code, 0);
    await runs(scene, bundles.nextVersion);
    assert.equal(await machine.output(...kept), before);
    assert.equal(controlPlane.nodes.length, nodes);
    // systemd names it without /usr where /lib is a link.
    assert.match(await scene.property("FragmentPath"), PACKAGED_UNIT_PATH);
    assert.equal(await scene.property("UnitFileState"), "enabled");
    // Nothing of the program that was there before is left. What Deno keeps of it is the new one's.
    const cache = `-path ${INSTALLED.programFolder}/cache -prune -o -print`;
    const unowned =
      `find ${INSTALLED.programFolder}* /etc/systemd/system/noderax* /etc/noderax-agent/*.kept ${cache} | ` +
      'while read -r file; do dpkg -S "$file" >/dev/null 2>&1 || echo "$file"; done';
    assert.equal(await machine.output("sh", "-c", `${unowned} 2>/dev/null`), "");
    assert.equal((await apt(scene, "purge", "noderax-agent")).code, 0);
  },

  "an agent 1.x is not taken over by a package, which says how": async (scene) => {
    const { machine, controlPlane } = scene;
    await machine.output("userdel", "--remove", "noderax");
    const config = JSON.stringify({ api_url: controlPlane.url });
    await machine.output("sh", "-c", INSTALL_OLD, "sh", OLD_PROGRAM, OLD_UNIT, config);
    const files = ["cat", INSTALLED.program, INSTALLED.unit, INSTALLED.config];
    const before = await machine.output(...files);
    const refused = await apt(scene, "install", `${BUNDLES}/first.deb`);
    tell(`\n# apt-get install first.deb     (over an agent 1.x)\n${shown(refused)}`);
    assert.equal(refused.code, 100);
    assert.match(shown(refused), /take that over by `noderax-agent install`/);
    assert.equal(await machine.output(...files), before);
    assert.equal(await scene.property("ActiveState"), "active");
    await machine.output("sh", "-c", REMOVE_OLD);
  },

  "the RPM package: installed, enrolled, upgraded under a task, removed, back": async (
    scene,
  ) => {
    const { machine, bundles } = scene;
    const first = await rpm(scene, "--install", `${BUNDLES}/first.rpm`);
    tell(`\n# rpm --install first.rpm\n${shown(first)}`);
    assert.equal(first.code, 0);
    assert.match(first.stdout, /To enroll this machine and start it/);
    assert.equal(await scene.property("ActiveState"), "inactive");
    const flags = ["--non-interactive", "--api-url", scene.controlPlane.url];
    const env = ["env", `NODERAX_BOOTSTRAP_TOKEN=${scene.addInstall()}`];
    await machine.output(...env, "noderax-agent", "install", ...flags);
    await scene.well();
    await scene.configures("set", "shutdown_timeout", "4s");
    await scene.well();

    const kept = ["sha256sum", INSTALLED.identity, INSTALLED.config];
    const before = await machine.output(...kept);
    const task = await scene.endlessTask();
    const upgraded = await rpm(scene, "--upgrade", `${BUNDLES}/next.rpm`);
    assert.deepEqual([upgraded.code, upgraded.stdout], [0, ""]);
    await runs(scene, bundles.nextVersion);
    await endsWhole(scene, task);
    assert.equal(await machine.output(...kept), before);
    const { stderr } = await scene.agent("uninstall");
    assert.match(stderr, /sudo dnf remove noderax-agent/);

    const removed = await rpm(scene, "--erase", "noderax-agent");
    tell(`\n# rpm --erase noderax-agent\n${shown(removed)}`);
    assert.equal(removed.code, 0);
    assert.equal(await scene.property("LoadState"), "not-found");
    await machine.output(
      "test",
      "-f",
      `${INSTALLED.config}.rpmsave`,
      "-a",
      "-f",
      INSTALLED.identity,
    );
    assert.equal((await machine.run("test", "-e", INSTALLED.programFolder)).code, 1);

    assert.equal((await rpm(scene, "--install", `${BUNDLES}/first.rpm`)).code, 0);
    await runs(scene, VERSION);
    assert.equal(await machine.output(...kept), before);
    assert.equal(await scene.property("UnitFileState"), "enabled");
  },

  "the RPM package takes over what `install` made, too": async (scene) => {
    const { machine, controlPlane, bundles } = scene;
    assert.equal((await rpm(scene, "--erase", "noderax-agent")).code, 0);
    const flags = ["--non-interactive", "--api-url", controlPlane.url];
    await machine.output(`${BUNDLES}/first/noderax-agent`, "install", ...flags);
    const kept = ["sha256sum", INSTALLED.identity, INSTALLED.config];
    const before = await machine.output(...kept);
    assert.equal((await rpm(scene, "--install", `${BUNDLES}/next.rpm`)).code, 0);
    await runs(scene, bundles.nextVersion);
    assert.match(await scene.property("FragmentPath"), PACKAGED_UNIT_PATH);
    assert.equal(await machine.output(...kept), before);
  },
};

const REMOVE_OLD = `systemctl disable --now --quiet ${SERVICE}
rm -rf ${INSTALLED.programFolder} ${INSTALLED.unit} ${INSTALLED.link} ${INSTALLED.configFolder} ${INSTALLED.stateFolder}
systemctl daemon-reload
userdel noderax`;

/** rpm of Debian knows none of the packages that are installed here, and says so each time. */
async function rpm({ machine }: Scene, ...args: string[]): Promise<Ran> {
  const { code, stdout, stderr } = await machine.run("rpm", "--nodeps", ...args);
  return { code, stdout, stderr: stderr.replaceAll(/^rpm: (RPM should|However).*\n/gm, "") };
}
