import assert from "node:assert/strict";
import { VERSION } from "../src/system/version.ts";
import { Fleet } from "./_agent.ts";

const KEY = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

/** What an agent with this configuration answers to an update; it updates nothing. */
async function refusalOf(config: Record<string, unknown>, version = "99.0.0"): Promise<string> {
  await using fleet = await Fleet.start(config);
  await using _agent = await fleet.agent();
  const target = fleet.controlPlane.updateAgent(version);
  const { status, completion } = await fleet.ended(target.taskId);
  assert.equal(status, "failed");
  assert.deepEqual(target.progress.map(({ status, message }) => [status, message]), [
    ["failed", completion?.error],
  ]);
  assert.deepEqual(fleet.controlPlane.violations, []);
  return completion?.error ?? "";
}

Deno.test("without a source an update fails at once, and the rollout is told what to do", async () => {
  assert.match(await refusalOf({}), /^this node is upgraded by its package: /);
});

Deno.test("unsigned code is never installed, and nothing where no service runs", async () => {
  const source = "/nowhere";
  assert.match(await refusalOf({ update_source: source }), /update_public_key is not set/);
  const bad = await refusalOf({ update_source: source, update_public_key: "AAAA" });
  assert.match(bad, /"AAAA" is no Ed25519 public key/);
  const keys = { update_source: source, update_public_key: KEY };
  assert.match(await refusalOf(keys), /only as root and as a service of systemd/);
});

Deno.test("the version that runs needs no update, and a bad one is none", async () => {
  await using fleet = await Fleet.start();
  await using _agent = await fleet.agent();
  const same = fleet.controlPlane.updateAgent(VERSION);
  const { status, result } = await fleet.ended(same.taskId);
  assert.equal(status, "success");
  assert.equal(Object(result).status, "handoff");
  const bad = fleet.controlPlane.updateAgent("../../etc");
  const { completion } = await fleet.ended(bad.taskId);
  assert.match(completion?.error ?? "", /payload\.targetVersion: must be a version such as/);
});
