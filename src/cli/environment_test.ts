import assert from "node:assert/strict";
import { takeEnvironment } from "./environment.ts";

Deno.test("the agent's own variables leave the environment and stay readable, others are left", () => {
  const variables = new Map([
    ["AGENT_TOKEN", "secret"],
    ["ENROLLMENT_TOKEN", "pending"],
    ["NODE_ID", "n"],
    ["NODERAX_API_URL", "https://one"],
    ["NODERAX_CONFIG_FILE", "/etc/c.json"],
    ["NODERAX_CONFIG_MIRROR_FILE", "/etc/m.json"],
    ["NODERAX_OF_ANOTHER_VERSION", "secret"],
    ["PATH", "/bin"],
  ]);
  const env = takeEnvironment({
    get: (name) => variables.get(name),
    toObject: () => Object.fromEntries(variables),
    delete: (name) => void variables.delete(name),
  });
  assert.deepEqual([...variables.keys()], ["PATH"]);
  assert.equal(env("AGENT_TOKEN"), "secret");
  assert.equal(env("NODERAX_CONFIG_MIRROR_FILE"), "/etc/m.json");
  assert.equal(env("LOG_LEVEL"), undefined);
  assert.equal(env("PATH"), "/bin");
});
