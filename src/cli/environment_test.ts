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

Deno.test("TMPDIR is the agent's own if it lies in a folder that systemd gave for its state", () => {
  const left = (given: Record<string, string>) => {
    const variables = new Map(Object.entries(given));
    const env = takeEnvironment({
      get: (name) => variables.get(name),
      toObject: () => Object.fromEntries(variables),
      delete: (name) => void variables.delete(name),
    });
    assert.equal(env("TMPDIR"), given.TMPDIR);
    return variables.get("TMPDIR");
  };
  const state = { STATE_DIRECTORY: "/var/lib/a:/var/lib/a/tmp" };
  assert.equal(left({ ...state, TMPDIR: "/var/lib/a/tmp" }), undefined);
  for (const TMPDIR of ["/var/lib/ab/tmp", "/var/lib", "/tmp"]) {
    assert.equal(left({ ...state, TMPDIR }), TMPDIR);
  }
  assert.equal(left({ TMPDIR: "/var/lib/a/tmp" }), "/var/lib/a/tmp");
});
