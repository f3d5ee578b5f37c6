import assert from "node:assert/strict";
import { UserError } from "../system/user_error.ts";
import { CONFIG_KEYS, type ConfigKey, configSchema } from "./schema.ts";
import { fileForm, masked, parseValue } from "./value.ts";

function row(key: string): ConfigKey {
  return CONFIG_KEYS.find((row) => row.key === key) ?? assert.fail(`no key ${key}`);
}

Deno.test("every default has the form in which a file holds it, and is read back from it", () => {
  const defaults = configSchema.parse({});
  for (const row of CONFIG_KEYS) {
    assert.equal(fileForm(row, defaults), row.fallback);
    if (row.fallback === undefined) continue;
    assert.equal(parseValue(row, String(row.fallback), "here"), row.fallback);
  }
});

Deno.test("a value that is not allowed is refused with its source, secrets stay hidden", () => {
  const refusal = (key: string, text: string) => {
    try {
      parseValue(row(key), text, "here");
    } catch (error) {
      assert(error instanceof UserError);
      return error.message;
    }
    assert.fail(`${text} is allowed`);
  };
  assert.equal(
    refusal("log_level", "loud"),
    'log_level is "loud" here, but must be one of debug, info, warn, error.',
  );
  assert.match(refusal("api_url", "http:/host"), /^api_url is "http:\/host" here, .*"https:\/\//);
  assert.match(refusal("agent_token", "a b"), /^agent_token is "\*{3}" here, /);
  assert.match(refusal("api_url", "https://me:secret@host"), /^api_url is "https:\/\/\*{3}@host"/);
});

Deno.test("only secrets and the passwords of URLs are masked", () => {
  assert.equal(masked(row("agent_token"), "t1"), "***");
  assert.equal(masked(row("state_file"), "ftp://me:pw@host/a@b"), "ftp://***@host/a@b");
  assert.equal(masked(row("state_file"), "/home/me@host/x"), "/home/me@host/x");
  assert.equal(masked(row("realtime_queue_size"), 64), 64);
});
