import assert from "node:assert/strict";
import { join } from "@std/path";
import { loadConfig } from "../config/mod.ts";
import { writeIdentity } from "../identity/identity_file.ts";
import type { Places } from "../install/machine.ts";
import { installEnv } from "../install/settings.ts";
import { INSTALLED } from "../system/paths.ts";
import { completeWishes, type Given } from "./install_command.ts";

const TOKEN = "a-bootstrap-token-of-somebody";

/** Lends the places of a machine that has this configuration. */
async function withConfig<T>(
  config: Record<string, unknown>,
  body: (places: Places) => Promise<T>,
): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "wishes_" });
  const places = {
    ...INSTALLED,
    config: join(folder, "config.json"),
    identity: join(folder, "identity.json"),
  };
  try {
    await Deno.writeTextFile(places.config, JSON.stringify(config));
    return await body(places);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const NO_ENV = () => undefined;

/** What an installation is begun with where these are the answers to what it asks. */
function complete(given: Given, config: Record<string, unknown>, answers: string[] = []) {
  const lines = (async function* () {
    yield* answers;
  })();
  return withConfig(config, (places) => completeWishes(given, places, NO_ENV, lines));
}

Deno.test("install asks for what it lacks, until it has it", async () => {
  const answers = ["", "ftp://x", "there.example.com/api/v1", "nobody", "me@example.com"];
  const { apiUrl } = await complete({}, {}, answers);
  assert.equal(apiUrl, "https://there.example.com");
});

Deno.test("install asks nothing that is given or known", async () => {
  const enrolled = { api_url: "https://there", node_id: "n", agent_token: "t" };
  for (const nonInteractive of [true, false]) {
    const asked = { nonInteractive };
    assert.equal((await complete(asked, enrolled)).apiUrl, undefined);
    await complete(asked, { api_url: "https://there", enrollment_token: "pending" });
    await complete({ ...asked, token: TOKEN }, { api_url: "https://there" });
    await complete({ ...asked, apiUrl: "https://here", email: "me@example.com" }, {});
  }
  const { apiUrl } = await complete({ apiUrl: "https://new" }, enrolled);
  assert.equal(apiUrl, "https://new");

  // As with the 1.x agent: the file does not say where the identity is.
  await withConfig({ api_url: "https://there" }, async (places) => {
    await writeIdentity(places.identity, { nodeId: "n", agentToken: "t", registeredAt: "then" });
    await completeWishes({ nonInteractive: true }, places, NO_ENV);
  });
});

Deno.test({
  name: "an identity in a folder that others could write counts: it is looked into later",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const asked = { nonInteractive: true };
    await withConfig({ api_url: "https://there" }, async (places) => {
      const folder = join(places.config, "..", "state");
      const ofOthers = { ...places, identity: join(folder, "identity.json") };
      const identity = { nodeId: "n", agentToken: "t", registeredAt: "then" };
      await writeIdentity(ofOthers.identity, identity);
      await Deno.chown(folder, 65_534, 65_534);
      await completeWishes(asked, ofOthers, NO_ENV);
      await Deno.remove(ofOthers.identity);
      await assert.rejects(completeWishes(asked, ofOthers, NO_ENV), /needs --bootstrap-token/);
      await Deno.writeTextFile(
        places.config,
        JSON.stringify({ api_url: "https://there", node_id: "n", agent_token: "t" }),
      );
      await completeWishes(asked, ofOthers, NO_ENV);
    });
  },
});

Deno.test("what may not be asked, or is not answered, is named", async () => {
  const cases: [Given, string[], RegExp][] = [
    [{ nonInteractive: true }, [], /needs --api-url and --bootstrap-token: see/],
    [{ nonInteractive: true, token: TOKEN }, [], /needs --api-url: see/],
    [{ nonInteractive: true, apiUrl: "https://x" }, [], /needs --bootstrap-token: see/],
    [{}, [""], /No API URL was given, which needs --api-url/],
  ];
  for (const [given, answers, message] of cases) {
    const completed = complete(given, {}, answers);
    await assert.rejects(completed, { name: "UserError", exitCode: 2, message });
  }
  const noEmail = complete({}, {}, ["https://x"]);
  await assert.rejects(noEmail, { message: /run `noderax-agent install --email/ });
});

Deno.test("an enrollment that was pending and has ended needs an address after all", async () => {
  const config = { api_url: "https://there", enrollment_token: "pending" };
  const { converse } = await complete({ nonInteractive: true }, config);
  await withConfig(config, async (places) => {
    const env = installEnv(places, NO_ENV);
    const place = {
      loaded: await loadConfig({ env }),
      env,
      api: {
        initiate: () => Promise.reject(new Error("not asked")),
        status: () => Promise.resolve({ status: "expired" }),
      },
      warn: assert.fail,
    };
    await assert.rejects(converse(place), { exitCode: 2, message: /needs --email/ });
  });
});
