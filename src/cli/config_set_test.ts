import assert from "node:assert/strict";
import { join, resolve } from "@std/path";
import { CONFIG_KEYS } from "../config/mod.ts";
import type { RunTool } from "../system/tool.ts";
import { applyIfInUse, checked, protectAddress } from "./config_set.ts";

const PATH = "/etc/agent.json";
const FOR_SERVICE = { serviceEnv: () => undefined };

/** A systemd whose service is in the state `active`, and what it was told. */
function systemd(active: string, restart = { code: 0, stdout: "", stderr: "" }) {
  const told: string[] = [];
  const run: RunTool = (program, ...args) => {
    if (args[0] !== "show") told.push([program, ...args.slice(0, 1)].join(" "));
    const shown = `LoadState=loaded\nActiveState=${active}\nSubState=running`;
    const answer = { code: 0, stdout: "", stderr: "" };
    if (args[0] === "show") return Promise.resolve({ ...answer, stdout: shown });
    return Promise.resolve(args[0] === "restart" ? restart : answer);
  };
  const options = { run, installedConfig: PATH };
  const row = { key: "api_url", needsRestart: true };
  const change = (path = PATH, named = true, key = row, restart = true) =>
    applyIfInUse(path, key, restart, { ...options, named });
  return { told, change, options };
}

Deno.test("a service that runs is restarted when its configuration has changed", async () => {
  for (const active of ["active", "activating", "reloading"]) {
    const { told, change } = systemd(active);
    const outcome = {
      done: true,
      text: `Restarted: noderax-agent.service is ${active} (running).`,
    };
    assert.deepEqual(await change(), outcome);
    assert.deepEqual(told, ["systemctl reset-failed", "systemctl restart"]);
  }
});

Deno.test("what can be reloaded never restarts the service; what cannot waits for --restart", async () => {
  const { told, change } = systemd("active");
  const reloaded = await change(PATH, true, { key: "log_level", needsRestart: false });
  assert.deepEqual([reloaded?.done, told], [true, ["systemctl reload"]]);
  const left = await change(PATH, true, undefined, false);
  assert.match(left?.text ?? "", /^api_url takes effect at the next restart: /);
  assert.deepEqual(told, ["systemctl reload"]);
});

Deno.test("a person is asked whether a key that needs it is worth a restart", async () => {
  for (const [yes, calls] of [[false, 0], [true, 2]] as const) {
    const { told, options } = systemd("active");
    const questions: string[] = [];
    const confirm = (question: string) => Promise.resolve(questions.push(question) > 0 && yes);
    const row = { key: "api_url", needsRestart: true };
    const outcome = await applyIfInUse(PATH, row, undefined, { ...options, confirm });
    assert.equal(outcome?.done, true);
    assert.deepEqual([questions.length, told.length], [1, calls]);
    await applyIfInUse(PATH, row, false, { ...options, confirm });
    assert.equal(questions.length, 1, "--no-restart does not ask");
  }
});

Deno.test("a service that does not run, or reads another file, is left alone", async () => {
  for (const [active, path] of [["inactive"], ["failed"], ["active", "/other.json"]]) {
    const { told, change } = systemd(active ?? "");
    assert.equal(await change(path), undefined);
    assert.deepEqual(told, []);
  }
});

Deno.test("a file that happened to be found is told from the one that the service reads", async () => {
  const { told, change } = systemd("active");
  const outcome = await change("/other.json", false);
  const text = "The service was left alone: it reads /etc/agent.json.";
  assert.deepEqual([outcome, told], [{ done: true, text }, []]);
});

Deno.test("a restart that fails is said, and that the value is saved", async () => {
  const { change } = systemd("active", { code: 1, stdout: "", stderr: "Job failed.\nSee more." });
  assert.deepEqual(await change(), {
    done: false,
    text: "the value is saved, but restart failed, noderax-agent.service is active (running): " +
      "Job failed.\nMore of it: `noderax-agent logs`.",
  });
});

Deno.test("a value with which the service would not start is refused for it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "config_set_" });
  try {
    const noPem = join(folder, "no.pem");
    await Deno.writeTextFile(noPem, "-----BEGIN CERTIFICATE-----\nno\n");
    const bad: [key: string, value: string, sentence: RegExp][] = [
      ["api_tls_ca_file", join(folder, "away.pem"), /^api_tls_ca_file is .*No such .*: name a PEM/],
      ["api_tls_ca_file", noPem, /^api_tls_ca_file is .* which cannot be used .*: name a PEM/],
      ["run_as_user", "nobody-here", /^run_as_user is "nobody-here", but .* no such user: create/],
    ];
    for (const [key, value, message] of bad) {
      await assert.rejects(checked(key, value, FOR_SERVICE), { name: "UserError", message });
    }
    const nowhere = checked("api_url", "http://127.0.0.1:2", FOR_SERVICE);
    await assert.rejects(nowhere, /^UserError: api_url is .*refused.*Nothing was changed; --force/);

    for (const force of [false, true]) {
      const saved = await checked("state_file", "a/identity.json", { ...FOR_SERVICE, force });
      assert.equal(saved, resolve("a/identity.json"));
    }
    assert.equal(await checked("state_file", "a/identity.json", {}), "a/identity.json");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the service's address is not removed, unless its environment has one", () => {
  const row = CONFIG_KEYS.find(({ key }) => key === "api_url");
  assert(row);
  const message = /cannot start: set another.*Nothing was changed; --force/;
  assert.throws(() => protectAddress(row, null, () => ""), { name: "UserError", message });
  protectAddress(row, null, (name) => name === "API_URL" ? "https://one" : undefined);
  protectAddress(row, "https://one", () => undefined);
});
