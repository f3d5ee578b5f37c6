import assert from "node:assert/strict";
import { join } from "@std/path";
import { agentCommand } from "./_command.ts";
import { leavesWell, realtimeFleet } from "./_realtime.ts";

const MANUAL = { provider: "manual", source: "manual", region: "cellar", zone: "rack 3" };
const KEYS = { location_manual_region: "cellar", location_manual_zone: "rack 3" };

Deno.test("a control plane that takes the location is told it", async () => {
  await using fleet = await realtimeFleet(KEYS, { takesLocation: true });
  await using agent = await fleet.agent();
  await agent.waitForLog("realtime session is up");
  assert.deepEqual(fleet.controlPlane.node(fleet.nodeId).location, MANUAL);
  await leavesWell(fleet, agent);
});

Deno.test("one that refuses it is asked again without it at once, and never again that day", async () => {
  await using fleet = await realtimeFleet(KEYS);
  const { realtime } = fleet.controlPlane;
  const authentications = () =>
    realtime.events.filter(({ event }) => event === "agent.auth").map(({ payload }) => payload);
  {
    await using agent = await fleet.agent();
    await agent.waitForLog("realtime session is up");
    assert.deepEqual(authentications().map((auth) => Object(auth).location), [MANUAL, undefined]);
    assert.equal(agent.logged("realtime connection failed").length, 0);
    await agent.waitForLog("control plane does not take a location");
    // The profile is reported by another authentication on the same socket.
    fleet.controlPlane.setRootAccess(fleet.nodeId, "task");
    await fleet.controlPlane.waitFor(() => authentications().length === 3);
    assert.equal((await agent.stop()).code, 0);
  }
  await using agent = await fleet.agent();
  await agent.waitForLog("realtime session is up");
  assert.deepEqual(authentications().slice(2).map((auth) => Object(auth).location), [
    undefined,
    undefined,
  ]);
  await leavesWell(fleet, agent);
});

Deno.test("an enrollment carries the location", async () => {
  await using fleet = await realtimeFleet(KEYS);
  const { controlPlane: cp } = fleet;
  cp.options.autoApprove = true;
  await fleet.configure({
    ...KEYS,
    node_id: "",
    agent_token: "",
    state_file: join(fleet.folder, "another", "agent_identity.json"),
  });
  const env = { NODERAX_CONFIG_FILE: fleet.configFile };
  const { code } = await agentCommand(["enroll", "--email", "me@example.com"], { env }).output();
  assert.equal(code, 0);
  assert.deepEqual(cp.enrollments.at(-1)?.additionalInfo.location, MANUAL);
  assert.deepEqual(cp.violations, []);
});
