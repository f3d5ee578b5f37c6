import assert from "node:assert/strict";
import { nearest } from "./nearest.ts";

Deno.test("the nearest word is found, and none where nothing is like it", () => {
  const words = ["log_level", "node_id", "run"];
  assert.equal(nearest("loglevel", words), "log_level");
  assert.equal(nearest("log_levle", words), "log_level");
  assert.equal(nearest("ndoe_id", words), "node_id");
  assert.equal(nearest("ru", words), "run");
  assert.equal(nearest("run", words), "run");
  assert.equal(nearest("fly", words), undefined);
  assert.equal(nearest("", words), undefined);
  assert.equal(nearest("run", []), undefined);
});

Deno.test("what a word means, or begins, comes before what it looks like", () => {
  const commands = ["start", "status", "stop", "logs", "doctor", "config", "uninstall", "update"];
  const cases = {
    stat: "status",
    log: "logs",
    remove: "uninstall",
    check: "doctor",
    conf: "config",
    upgrade: "update",
    sart: "start",
  };
  for (const [word, command] of Object.entries(cases)) {
    assert.equal(nearest(word, commands), command);
  }
});
