import assert from "node:assert/strict";
import { REAPER, REAPER_SCRIPT } from "./reaper.ts";

const SIGTERM = 15;

Deno.test("a signal before the agent's process is known is passed on when it is", async () => {
  const known = "agent=$!\n";
  assert(REAPER_SCRIPT.includes(known));
  const script = REAPER_SCRIPT.replace(known, () => `kill -TERM $$\n${known}`);
  const { code } = await new Deno.Command("/bin/sh", {
    args: ["-c", script, REAPER, "sleep", "60"],
  }).output();
  assert.equal(code, 128 + SIGTERM);
});

Deno.test("a signal later is passed on at once, and the status is the agent's", async () => {
  const child = new Deno.Command("/bin/sh", {
    args: [
      "-c",
      REAPER_SCRIPT,
      REAPER,
      "bash",
      "-c",
      "trap 'exit 7' HUP; echo ready; while :; do sleep 0.01; done",
    ],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  child.kill("SIGHUP");
  assert.equal((await child.status).code, 7);
  await reader.cancel();
});
