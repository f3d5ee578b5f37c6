import assert from "node:assert/strict";
import type { AgentUpdateTarget } from "../../scripts/dev/control_plane.ts";
import { INSTALLED } from "../../src/system/paths.ts";
import { VERSION } from "../../src/system/version.ts";
import { PATIENCE_MS } from "../_processes.ts";
import { tell } from "../_together.ts";
import { makeReleases, WRONG } from "./_releases.ts";
import { BUNDLES, type Scene, type Steps } from "./_scene.ts";

const DONE = ["dispatched", "downloading", "verifying", "installing", "restarting"];
const OLD = `${INSTALLED.programFolder}.old`;

/** An agent that the console updates. */
export const UPDATE_STEPS: Steps = {
  "the agent is told where updates come from, and by whom they are signed": async (scene) => {
    const { machine, bundles, controlPlane } = scene;
    const key = await makeReleases(bundles);
    const program = `${BUNDLES}/first/noderax-agent`;
    const token = ["--bootstrap-token", scene.addInstall()];
    await machine.output(
      program,
      ...["install", "--non-interactive", "--api-url", controlPlane.url, ...token],
    );
    await scene.well();
    const bare = await updated(scene, WRONG.tampered);
    assert.match(bare.message, /^this node is upgraded by its package: unpack the newer release/);
    await scene.tells("config", "set", "update_source", `${BUNDLES}/releases`);
    await scene.tells("config", "set", "update_public_key", key);
    await scene.well();
  },

  "an artefact that was changed, or holds another version, is not installed": async (scene) => {
    const pid = await scene.property("MainPID");
    const tampered = await updated(scene, WRONG.tampered);
    assert.match(tampered.message, /is not what was signed/);
    assert.deepEqual(tampered.statuses, ["dispatched", "downloading", "verifying", "failed"]);
    const mislabelled = await updated(scene, WRONG.mislabelled);
    assert.match(mislabelled.message, /holds version 99\.0\.0: it is not installed/);
    const missing = await updated(scene, "98.0.0");
    assert.match(missing.message, /98\.0\.0\/SHA256SUMS cannot be read/);
    assert.equal(await scene.property("MainPID"), pid);
  },

  "an update goes through every status, and the rollout is done": async (scene) => {
    const { statuses, target } = await updated(scene, scene.bundles.nextVersion);
    assert.deepEqual(statuses, [...DONE, "waiting_for_reconnect"]);
    assert.equal(target.status, "completed");
    await scene.well();
    assert.match(await scene.tells("version"), /99\.0\.0/);
    assert.equal((await scene.machine.run("test", "-e", OLD)).code, 1);
    assert.equal(await scene.output("echo new"), "new");
  },

  "a version that does not start is put back, told, and not tried again": async (scene) => {
    const { statuses, message } = await updated(scene, WRONG.broken);
    assert.deepEqual(statuses, [...DONE, "failed"]);
    assert.match(message, /99\.1\.0 does not start: .* Version 99\.0\.0 was put back\.$/);
    await scene.well();
    assert.match(await scene.tells("version"), /99\.0\.0/);
    const again = await updated(scene, WRONG.broken);
    assert.deepEqual(again.statuses, ["failed"]);
    assert.match(again.message, /^99\.1\.0 failed here .* is not tried again by itself/);
  },

  "back to an older version goes a rollback alone, whatever the control plane does": async (
    scene,
  ) => {
    const { controlPlane } = scene;
    const down = await updated(scene, VERSION);
    assert.match(down.message, /is older than 99\.0\.0, which runs: only a rollback goes back/);
    const target = controlPlane.updateAgent(VERSION, { rollback: true });
    await scene.ended(target.taskId);
    await scene.until("the restart", () => {
      return Promise.resolve(target.progress.some(({ status }) => status === "installing"));
    });
    await controlPlane.stop();
    await scene.until("the older version", async () => {
      const { stdout } = await scene.machine.run(
        ...["systemctl", "is-active", "noderax-agent-update.service"] as const,
      );
      return stdout.trim() !== "active" ||
        !await isThere(scene, `${INSTALLED.programFolder}.update`);
    });
    await controlPlane.start();
    await scene.well();
    assert.equal(scene.node.agentVersion, VERSION);
    tellProgress(target);
  },

  "a person updates by the same way": async (scene) => {
    const { code, stdout, stderr } = await scene.agent("update", "--target-version", "99.0.0");
    tell(`\n# noderax-agent update --target-version 99.0.0\n${stdout}${stderr}`);
    assert.equal(code, 0);
    await scene.well();
    assert.match(await scene.tells("version"), /99\.0\.0/);
  },
};

/** Sends the agent an update and waits until it has succeeded or failed. */
async function updated(
  scene: Scene,
  version: string,
): Promise<{ statuses: string[]; message: string; target: AgentUpdateTarget }> {
  const target = scene.controlPlane.updateAgent(version);
  await scene.controlPlane.waitFor(
    () => ["completed", "failed"].includes(target.status) || undefined,
    { what: `the update to ${version}`, timeoutMs: 3 * PATIENCE_MS },
  );
  await scene.until("the end of the update's unit", async () => {
    return (await scene.machine.run("systemctl", "is-active", "noderax-agent-update.service"))
      .stdout.trim() !== "active";
  });
  await scene.ended(target.taskId);
  tellProgress(target);
  const statuses = target.progress.map(({ status }) => status);
  return { statuses, message: target.progress.at(-1)?.message ?? "", target };
}

function tellProgress({ targetVersion, progress }: AgentUpdateTarget): void {
  const from = progress[0]?.atMs ?? 0;
  tell(`\n# agent.update ${targetVersion}`);
  for (const { status, progressPercent, message = "", atMs } of progress) {
    tell(`${((atMs - from) / 1000).toFixed(1)} s  ${status} ${progressPercent} ${message}`);
  }
}

async function isThere({ machine }: Scene, path: string): Promise<boolean> {
  return (await machine.run("test", "-e", path)).code === 0;
}
