import assert from "node:assert/strict";
import { join } from "@std/path";
import { loadConfig } from "../config/mod.ts";
import { writeIdentity } from "./identity_file.ts";
import { knownIdentity } from "./known_identity.ts";

const STORED = { nodeId: "stored", agentToken: "stored-token" };

/** What a machine knows of itself with this configuration, this environment and this identity file. */
async function known(
  { file = {}, env = {}, stored }: {
    file?: Record<string, string>;
    env?: Record<string, string>;
    stored?: typeof STORED | string;
  },
) {
  const folder = await Deno.makeTempDir({ prefix: "known_identity_" });
  try {
    const state_file = join(folder, "state.json");
    const path = join(folder, "config.json");
    await Deno.writeTextFile(path, JSON.stringify({ ...file, state_file }));
    if (typeof stored === "string") await Deno.writeTextFile(state_file, stored);
    else if (stored) await writeIdentity(state_file, { ...stored, registeredAt: "2026-01-01" });
    const variables: Record<string, string> = { ...env, NODERAX_CONFIG_FILE: path };
    return await knownIdentity(await loadConfig({ env: (name) => variables[name] }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a whole pair of the configuration wins over the identity file, the environment over both", async () => {
  const file = { node_id: "file", agent_token: "file-token" };
  assert.deepEqual(await known({ file, stored: STORED }), {
    nodeId: "file",
    agentToken: "file-token",
  });
  const env = { NODE_ID: "env", AGENT_TOKEN: "env-token" };
  assert.deepEqual(await known({ file, env, stored: STORED }), {
    nodeId: "env",
    agentToken: "env-token",
  });
  assert.deepEqual(await known({ file }), { nodeId: "file", agentToken: "file-token" });
});

Deno.test("without a pair the identity file counts, and without that nobody is known", async () => {
  assert.deepEqual(await known({ stored: STORED }), STORED);
  assert.equal(await known({}), undefined);
  assert.equal(await known({ file: { enrollment_token: "pending" } }), undefined);
});

Deno.test("half a pair is completed from the identity file of the same node, or complained of", async () => {
  assert.deepEqual(await known({ file: { node_id: "stored" }, stored: STORED }), STORED);
  assert.deepEqual(await known({ env: { AGENT_TOKEN: "newer" }, stored: STORED }), {
    nodeId: "stored",
    agentToken: "newer",
  });
  await assert.rejects(known({ file: { node_id: "other" }, stored: STORED }), {
    name: "UserError",
    message: /node_id is other, but the identity file .* belongs to node stored/,
  });
  await assert.rejects(known({ file: { node_id: "n" } }), /node_id is set but agent_token is not/);
  await assert.rejects(known({ file: { agent_token: "t" } }), /agent_token is set but node_id/);
});

Deno.test("a damaged identity file is complained of even if the configuration has a pair", async () => {
  const file = { node_id: "file", agent_token: "file-token" };
  await assert.rejects(known({ file, stored: "{" }), /state\.json is not valid JSON/);
});
