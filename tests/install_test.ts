import assert from "node:assert/strict";
import { join } from "@std/path";
import project from "../deno.json" with { type: "json" };
import { completeWishes, type Given } from "../src/cli/install.ts";
import { loadConfig } from "../src/config/mod.ts";
import { writeIdentity } from "../src/identity/identity_file.ts";
import type { Places } from "../src/install/machine.ts";
import { installEnv } from "../src/install/settings.ts";
import { INSTALLED } from "../src/system/paths.ts";
import { AGENT_TASK } from "./_agent.ts";

const ROOT = new URL("..", import.meta.url);
const TOKEN = "a-bootstrap-token-of-somebody";

/** Runs the command with these arguments, as whom this test is run. */
async function agent(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...AGENT_TASK, ...args],
    cwd: ROOT,
    env: { NODERAX_BOOTSTRAP_TOKEN: TOKEN },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("wrong use of install is one sentence and exit code 2, before anything else", async () => {
  const cases: [string[], RegExp][] = [
    [
      ["install", "--api-url", "ftp://host"],
      /api_url is "ftp:\/\/host" .*must be an http or https/,
    ],
    [["install", "--email", "nobody"], /--email is "nobody", but must be an address/],
    [["install", "--fast"], /unknown option '--fast'/],
    [["uninstall", "--everything"], /unknown option '--everything'/],
  ];
  await Promise.all(cases.map(async ([args, sentence]) => {
    const { code, output } = await agent(...args);
    assert.equal(code, 2, output);
    assert.match(output, sentence);
    assert.doesNotMatch(output, /^\s+at /m);
  }));
});

Deno.test("from source, or by another than root, install says what to do instead", async () => {
  const { code, output } = await agent("install", "--non-interactive");
  assert.equal(code, 1, output);
  const wanted = Deno.uid() === 0 ? /sudo deno task install-service/ : /sudo noderax-agent install/;
  assert.match(output, wanted);
  assert.ok(!output.includes(TOKEN));
});

/** Runs `deno task install-service` with these arguments, as whom this test is run. */
async function installService(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...project.tasks["install-service"].command.split(" ").slice(1), ...args],
    cwd: ROOT,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("a checkout hands what was asked for to the program that it installs", async () => {
  const folder = await Deno.makeTempDir({ prefix: "binary_" });
  try {
    const binary = join(folder, "agent");
    const script = '#!/bin/sh\nprintf "%s\\n" "$@" "mirror $NODERAX_CONFIG_MIRROR_FILE" ' +
      '"token $NODERAX_BOOTSTRAP_TOKEN"; exit 7\n';
    await Deno.writeTextFile(binary, script, { mode: 0o755 });
    const email = "me@x.org; touch /tmp/no";
    const flags = ["--api-url", "https://x", "--email", email, "--bootstrap-token", TOKEN];
    const { code, output } = await installService("--binary", binary, ...flags);
    if (Deno.uid() !== 0) return assert.match(output, /run `sudo deno task install-service`/);
    assert.equal(code, 7, output);
    const config = join(import.meta.dirname ?? "", "..", "config.json");
    const said = ["install", "--api-url", "https://x", "--email", email, `mirror ${config}`];
    assert.ok(output.startsWith([...said, `token ${TOKEN}`, ""].join("\n")), output);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("wrong use of install-service is a sentence as well", async () => {
  const both = await installService("--binary", "a", "--bundle", "b");
  assert.equal(both.code, 2, both.output);
  assert.match(both.output, /--bundle, --binary and --compile exclude each other\./);
  const unknown = await installService("--fast");
  assert.equal(unknown.code, 2, unknown.output);
  assert.match(unknown.output, /Unknown option '--fast'/);
});

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
