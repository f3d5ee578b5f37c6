import assert from "node:assert/strict";
import { ownSocketPath, socketPaths } from "./status_client.ts";

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

Deno.test("where a path is too long for a socket, agent and status agree on another", () => {
  const far = `/srv/${"ü".repeat(50)}/id.json`;
  const [path = ""] = socketPaths(far, true);
  assert.match(path, /^\/tmp\/noderax-agent-[0-9a-f]{16}\/agent\.sock$/);
  assert.equal(ownSocketPath(() => undefined, far), path);
  assert.equal(ownSocketPath(() => `/run/${"x".repeat(100)}`, "/s/id.json"), "/s/agent.sock");
});
