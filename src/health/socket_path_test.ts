import assert from "node:assert/strict";
import { socketPaths } from "./socket_path.ts";

Deno.test("the installed agent is looked for unless another configuration is named", () => {
  const installed = "/run/noderax-agent/agent.sock";
  const own = "/srv/state/agent.sock";
  assert.deepEqual(socketPaths("/srv/state/id.json", true), [own]);
  assert.deepEqual(socketPaths("/srv/state/id.json", false), [own, installed]);
  assert.deepEqual(socketPaths(undefined, true), []);
  assert.deepEqual(socketPaths(undefined, false), [installed]);
  const state = "/var/lib/noderax-agent/agent_identity.json";
  assert.equal(socketPaths(state, true).at(-1), installed);
});
