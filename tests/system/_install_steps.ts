import assert from "node:assert/strict";
import { SERVICE_USER } from "../../src/system/paths.ts";
import { VERSION } from "../../src/system/version.ts";
import type { ControlPlane } from "../../scripts/dev/control_plane.ts";
import { tell } from "../_together.ts";
import { BUNDLES, type Steps } from "./_scene.ts";
import { Session } from "./_session.ts";

/** Answers what an enrollment asks, and approves it. */
export async function answer(session: Session, controlPlane: ControlPlane): Promise<void> {
  await session.sees(/address.*: *$|url.*: *$/im);
  await session.types(controlPlane.url);
  await session.sees(/mail.*: *$/im);
  await session.types("admin@example.com");
  const enrollment = await controlPlane.waitFor(
    () => controlPlane.enrollments.find(({ status }) => status === "pending"),
    { what: () => `an enrollment; on the screen:\n${session.text}` },
  );
  assert.equal(enrollment.email, "admin@example.com");
  await session.sees(/approv/i);
  controlPlane.approve(enrollment.token);
  await session.sees();
}

/** The first installation, as a person does it. */
export const INSTALL_STEPS: Steps = {
  "a person unpacks the bundle, installs and enrolls, and somebody approves": async (scene) => {
    const { machine, controlPlane, bundles } = scene;
    await using session = new Session(machine);
    await session.sees();
    await session.types(`tar xzf ${BUNDLES}/${bundles.archive}.tar.gz`);
    await session.sees();
    await session.types(`${bundles.archive}/noderax-agent install`);
    await answer(session, controlPlane);
    await session.types("noderax-agent status");
    await session.sees();
    const code = await session.leaves();
    tell(`\nA first installation:\n\n${session.text.replace(/# exit\n$/, "")}`);
    assert.equal(code, 0);
    assert.doesNotMatch(session.text, /could not|failed|error/i);
    assert.ok(!session.text.includes(scene.node.agentToken));
  },

  "status tells that all is well": async (scene) => {
    await scene.well();
    const { service, agent } = await scene.status();
    assert.deepEqual([service.active, service.enabled, service.restarts], ["active", "enabled", 0]);
    assert.equal(agent.nodeId, scene.node.nodeId);
    assert.equal(agent.apiUrl, scene.controlPlane.url);
    assert.deepEqual([agent.controlPlaneAnswers, agent.realtime.connected], [true, true]);
    assert.ok(agent.heartbeats.answers > 0);
    assert.deepEqual([agent.tasks.running, agent.tasks.backlogBytes, agent.terminals], [[], 0, 0]);
    assert.deepEqual([agent.version, agent.runAsUser], [VERSION, SERVICE_USER]);
    assert.equal(await scene.tells("status", "--check"), "healthy");
    const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    const unprivileged = await scene.machine.run(...asNobody, "noderax-agent", "status");
    tell(`\n$ noderax-agent status     (not root)\n${unprivileged.stdout}${unprivileged.stderr}`);
    assert.match(unprivileged.stdout, /running/);
  },
};
