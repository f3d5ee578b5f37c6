import assert from "node:assert/strict";
import { serviceState } from "./systemd.ts";

/** What `systemctl show` prints of a service that runs. */
const SHOWN = `LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
StateChangeTimestamp=Mon 2026-11-23 18:55:07 UTC
MainPID=208
InvocationID=0123456789abcdef0123456789abcdef
NRestarts=3
Result=success
ExecMainCode=2
ExecMainStatus=9`;

Deno.test("systemd's words about the service are understood", async () => {
  const calls: string[][] = [];
  const run = (stdout: string, code = 0) => (...call: string[]) => {
    calls.push(call);
    return Promise.resolve({ code, stdout, stderr: "" });
  };
  assert.deepEqual(await serviceState(run(SHOWN)), {
    load: "loaded",
    active: "active",
    sub: "running",
    enabled: "enabled",
    since: new Date("2026-11-23T18:55:07Z"),
    pid: 208,
    invocation: "0123456789abcdef0123456789abcdef",
    restarts: 3,
    result: "success",
    lastExit: "signal 9",
  });
  const never = await serviceState(run("LoadState=not-found\nStateChangeTimestamp=\nMainPID=0"));
  assert.deepEqual([never?.load, never?.since, never?.pid], ["not-found", undefined, 0]);
  assert.equal(await serviceState(run("", 1)), undefined);
  // What an older systemctl does not know it refuses altogether.
  assert.deepEqual(calls[0]?.slice(0, 3), ["systemctl", "show", "noderax-agent.service"]);
  assert.equal(calls[0]?.length, 4);
});
