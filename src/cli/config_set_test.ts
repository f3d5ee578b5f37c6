import assert from "node:assert/strict";
import type { RunTool } from "../system/tool.ts";
import { restartIfInUse } from "./config_set.ts";

const PATH = "/etc/agent.json";

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
  const change = (path = PATH, named = true) => restartIfInUse(path, { ...options, named });
  return { told, change };
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
