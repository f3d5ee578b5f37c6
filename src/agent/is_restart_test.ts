import assert from "node:assert/strict";
import { delay } from "@std/async";
import { isRestart } from "./is_restart.ts";

const systemd = (job: string | undefined, state = "running") => ({
  jobType: () => Promise.resolve(job),
  managerProperty: () => Promise.resolve(state),
});

Deno.test("a restart, and a signal of anybody's, is followed by another agent", async () => {
  for (const job of ["restart", "try-restart", undefined]) {
    assert.equal(await isRestart("SIGTERM", systemd(job)), true, String(job));
  }
});

Deno.test("systemd may be slow to say it, as while it reads all units again", async () => {
  const slow = { ...systemd(undefined), jobType: () => delay(1_100).then(() => "restart") };
  assert.equal(await isRestart("SIGTERM", slow), true);
});

Deno.test("a stop, a shutdown and Ctrl-C are for good, and so is what nobody can tell", async () => {
  assert.equal(await isRestart("SIGTERM", systemd("stop")), false);
  assert.equal(await isRestart("SIGTERM", systemd(undefined, "stopping")), false);
  assert.equal(await isRestart("SIGINT", systemd(undefined)), false);
  assert.equal(await isRestart("SIGTERM", undefined), false);
  const silent = { ...systemd("restart"), jobType: () => Promise.reject(new Error("no answer")) };
  assert.equal(await isRestart("SIGTERM", silent), false);
});
