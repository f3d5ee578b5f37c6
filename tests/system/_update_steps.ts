import assert from "node:assert/strict";
import { targetOf } from "../../scripts/_target.ts";
import type { AgentUpdateTarget } from "../../scripts/dev/control_plane.ts";
import { ConnectProxy } from "../../src/realtime/_connect_proxy.ts";
import { INSTALLED } from "../../src/system/paths.ts";
import { VERSION } from "../../src/system/version.ts";
import { ReleaseServer } from "../../src/update/_test_source.ts";
import { UPDATE_UNIT } from "../../src/update/update_unit.ts";
import { PATIENCE_MS } from "../_processes.ts";
import { tell } from "../_together.ts";
import type { Ran } from "./_machine.ts";
import { makeReleases, releasesOf, WRONG } from "./_releases.ts";
import { BUNDLES, type Scene, type Steps } from "./_scene.ts";

const DONE = ["dispatched", "downloading", "verifying", "installing", "restarting"];
const OLD = `${INSTALLED.programFolder}.old`;

/** A key that nothing is signed with any more. */
const RETIRED = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

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
    await scene.configures("set", "update_source", `${BUNDLES}/releases`);
    await scene.configures("set", "update_public_key", RETIRED);
    await scene.well();
    const unsigned = await updated(scene, bundles.nextVersion);
    assert.deepEqual(unsigned.statuses, ["dispatched", "downloading", "failed"]);
    assert.match(unsigned.message, /SHA256SUMS is not signed by a key of update_public_key/);
    await scene.configures("set", "update_public_key", `${RETIRED},${key}`);
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

  "a version that does not start is put back, told after an outage, and not tried again": async (
    scene,
  ) => {
    const { controlPlane } = scene;
    const target = controlPlane.updateAgent(WRONG.broken);
    await reached(scene, target, "installing");
    await controlPlane.stop();
    await programExchanged(scene);
    await controlPlane.start();
    const { statuses, message } = await outcome(scene, target);
    // What was not answered is told again.
    assert.deepEqual([...new Set(statuses)], [...DONE, "failed"]);
    assert.match(message, /99\.1\.0 does not start: .* Version 99\.0\.0 was put back\.$/);
    await scene.well();
    assert.match(await scene.tells("version"), /99\.0\.0/);
    await isRemembered(scene);
  },

  "a version that does not last is put back, before the rollout takes it for done": async (
    scene,
  ) => {
    const { statuses, message } = await updated(scene, WRONG.flaky);
    assert.deepEqual(statuses, [...DONE, "waiting_for_reconnect", "failed"]);
    assert.match(message, /99\.4\.0 ended 3 times\. Version 99\.0\.0 was put back\.$/);
    await scene.well();
    assert.equal(scene.node.agentVersion, "99.0.0");
  },

  "back to an older version goes a rollback alone, whatever the control plane does": async (
    scene,
  ) => {
    const { controlPlane } = scene;
    const down = await updated(scene, VERSION);
    assert.match(down.message, /is older than 99\.0\.0, which runs: only a rollback goes back/);
    const target = controlPlane.updateAgent(VERSION, { rollback: true });
    await reached(scene, target, "installing");
    await controlPlane.stop();
    await programExchanged(scene);
    await controlPlane.start();
    await scene.well();
    assert.equal(scene.node.agentVersion, VERSION);
    await unitEnds(scene);
    tellProgress(target);
  },

  "from an https address, by the service's authorities and proxy": async (scene) => {
    await using source = await HttpsSource.open(scene);
    const { server } = source;
    const name = `noderax-agent-99.0.0-linux-${targetOf(Deno.build.target).name}.tar.gz`;

    const stalled = scene.controlPlane.updateAgent("99.0.0");
    const asked = Promise.withResolvers<void>();
    server.answers[`/99.0.0/${name}`] = () => {
      asked.resolve();
      return new Response(new ReadableStream());
    };
    await asked.promise;
    await scene.machine.output("systemctl", "kill", "--signal=KILL", UPDATE_UNIT);
    const killed = await outcome(scene, stalled);
    assert.equal(killed.message, "The update to 99.0.0 was interrupted (downloading); 2.0.0 runs.");
    await scene.well();

    delete server.answers[`/99.0.0/${name}`];
    const { statuses } = await updated(scene, "99.0.0");
    assert.deepEqual(statuses, [...DONE, "waiting_for_reconnect"]);
    assert.ok(source.proxy.asked.includes("control-plane.test"));
    await scene.well();
    assert.equal(scene.node.agentVersion, "99.0.0");
  },

  "a person updates by the same way": async (scene) => {
    await scene.configures("set", "update_source", `${BUNDLES}/releases`);
    const refused = await person(scene, "--target-version", VERSION);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /only a rollback goes back/);
    assert.equal((await person(scene, "--rollback", "--target-version", VERSION)).code, 0);
    await scene.well();
    assert.equal(scene.node.agentVersion, VERSION);
    assert.equal((await person(scene)).code, 0);
    await scene.well();
    assert.match(await scene.tells("version"), /99\.0\.0/);
    await isRemembered(scene);
  },
};

/** The releases at an https address that only a proxy finds, as the agent's configuration says. */
class HttpsSource implements AsyncDisposable {
  private constructor(readonly server: ReleaseServer, readonly proxy: ConnectProxy) {}

  static async open(scene: Scene): Promise<HttpsSource> {
    const { bundles, machine } = scene;
    const server = await ReleaseServer.start(releasesOf(bundles), bundles.folder);
    const proxy = await ConnectProxy.start();
    const variables = `HTTPS_PROXY=${proxy.url}`;
    const write =
      'printf "%s\\n" "$1" >/etc/noderax-agent/environment && cp "$2" /etc/noderax-agent';
    await machine.output("sh", "-c", write, "sh", variables, `${BUNDLES}/ca.pem`);
    await scene.tells("config", "set", "api_tls_ca_file", "/etc/noderax-agent/ca.pem");
    const source = `https://control-plane.test:${server.port}`;
    await scene.configures("set", "update_source", source);
    await scene.well();
    return new HttpsSource(server, proxy);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

async function person(scene: Scene, ...args: string[]): Promise<Ran> {
  const ran = await scene.agent("update", ...args);
  tell(`\n# noderax-agent update ${args.join(" ")}\n${ran.stdout}${ran.stderr}`);
  return ran;
}

/** A version that failed is refused, whatever was installed since. */
async function isRemembered(scene: Scene): Promise<void> {
  const { statuses, message } = await updated(scene, WRONG.broken);
  assert.deepEqual(statuses, ["failed"]);
  assert.match(message, /^99\.1\.0 failed here .* is not tried again by itself/);
}

async function reached(scene: Scene, target: AgentUpdateTarget, step: string): Promise<void> {
  await scene.controlPlane.waitFor(
    () => target.progress.some(({ status }) => status === step) || undefined,
    { what: `an update that is ${step}`, timeoutMs: PATIENCE_MS },
  );
}

/** Waits until an update that was installing has come to its end, for good or bad. */
async function programExchanged(scene: Scene): Promise<void> {
  await scene.until("the end of the exchange", async () => {
    return !await isThere(scene, `${INSTALLED.programFolder}.update`);
  });
}

interface Outcome {
  statuses: string[];
  message: string;
  target: AgentUpdateTarget;
}

/** Sends the agent an update and waits until it has succeeded or failed. */
function updated(scene: Scene, version: string): Promise<Outcome> {
  return outcome(scene, scene.controlPlane.updateAgent(version));
}

/** Waits until an update has succeeded or failed. */
async function outcome(scene: Scene, target: AgentUpdateTarget): Promise<Outcome> {
  await scene.controlPlane.waitFor(
    () => ["completed", "failed"].includes(target.status) || undefined,
    { what: `the update to ${target.targetVersion}`, timeoutMs: 3 * PATIENCE_MS },
  );
  await unitEnds(scene);
  await scene.ended(target.taskId);
  tellProgress(target);
  const statuses = target.progress.map(({ status }) => status);
  return { statuses, message: target.progress.at(-1)?.message ?? "", target };
}

/** An update ends when its reports are answered, or after a while. */
async function unitEnds(scene: Scene): Promise<void> {
  await scene.until("the end of the update's unit", async () => {
    const { stdout } = await scene.machine.run("systemctl", "is-active", UPDATE_UNIT);
    return stdout.trim() !== "active";
  });
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
