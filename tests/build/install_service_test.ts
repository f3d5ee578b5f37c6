import assert from "node:assert/strict";
import { dirname, join } from "@std/path";
import project from "../../deno.json" with { type: "json" };

const ROOT = dirname(dirname(import.meta.dirname ?? ""));
const TOKEN = "a-bootstrap-token-of-somebody";

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
    if (Deno.uid() !== 0) {
      return assert.match(output, /run `sudo npx -y deno@2\.9\.6 task install-service`/);
    }
    assert.equal(code, 7, output);
    const config = join(ROOT, "config.json");
    const said = ["install", "--api-url", "https://x", "--email", email, `mirror ${config}`];
    assert.ok(output.startsWith([...said, `token ${TOKEN}`, ""].join("\n")), output);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a usage error of install-service is a sentence as well", async () => {
  const both = await installService("--binary", "a", "--bundle", "b");
  assert.equal(both.code, 2, both.output);
  assert.match(both.output, /--bundle, --binary and --compile exclude each other\./);
  const unknown = await installService("--fast");
  assert.equal(unknown.code, 2, unknown.output);
  assert.match(unknown.output, /Unknown option '--fast'/);
});
