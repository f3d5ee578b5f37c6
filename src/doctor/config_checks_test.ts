import assert from "node:assert/strict";
import { join } from "@std/path";
import { configured, finding, machine, tools } from "./_test_context.ts";
import type { Finding } from "./check.ts";
import { configChecks } from "./config_checks.ts";
import { runChecks } from "./run_checks.ts";

/** What the check finds where the environment alone sets the configuration. */
function found(check: string, env: Record<string, string>): Promise<Finding> {
  return finding(configChecks(machine(tools({}), { loaded: () => configured(env) })), check);
}

Deno.test("the fix of an address without TLS changes its protocol alone", async () => {
  for (const rest of ["host", "host:3000", "host:443/base/path", "[fd00::1]:3000"]) {
    const { status, fix } = await found("api_url", { API_URL: `http://${rest}` });
    assert.equal(status, "warn");
    assert(fix?.endsWith(` noderax-agent config set api_url https://${rest}`), String(fix));
  }
});

Deno.test("what is wrong with the configuration's file is found, and the fix is one", async () => {
  const folder = await Deno.makeTempDir({ prefix: "config_checks_" });
  try {
    const list = join(folder, "list.json");
    await Deno.writeTextFile(list, "[]");
    const loop = join(folder, "loop.json");
    await Deno.symlink(loop, loop);
    const cases: [file: string, found: RegExp, fix: string | undefined][] = [
      [folder, /^\S+ cannot be read \(it is a folder\)$/, "name a file"],
      [list, /^\S+ holds no JSON object$/, 'write one into it, such as {"api_url":"https://host"}'],
      [loop, /^\S+ cannot be read \(Too many .*\)$/, undefined],
    ];
    for (const [file, words, fix] of cases) {
      const env = { NODERAX_CONFIG_FILE: file };
      const checks = configChecks(machine(tools({}), { loaded: () => configured(env) }));
      const [finding] = await runChecks(checks.filter(({ name }) => name === "config"));
      assert.match(finding?.found ?? "", words);
      assert.deepEqual([finding?.status, finding?.fix], ["fail", fix]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
