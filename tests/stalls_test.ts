import assert from "node:assert/strict";
import { delay } from "@std/async";
import { leavesWell, liveAgent, prompt, realtimeFleet } from "./_realtime.ts";
import { untilThere } from "./_shell.ts";

/** Longer than the limit of a call, in milliseconds. */
const STALL_MS = 2_300;

Deno.test("an agent that stood still loses neither a call, nor a terminal, nor a task", async () => {
  await using fleet = await realtimeFleet({ request_timeout: "2s", heartbeat_interval: "1s" });
  const { controlPlane: cp } = fleet;
  await using agent = await liveAgent(fleet);
  // It is kept waiting for an answer each time that it is stopped.
  const beats = () => cp.requests.filter(({ path }) => path.endsWith("/heartbeat"));
  cp.fault({ path: "/heartbeat", latencyMs: 300 });
  const go = `${fleet.folder}/go`;
  const id = fleet.shell(`echo ready; ${untilThere(go)}; sleep 0.5; echo ok`, { timeout: "3s" });
  await cp.waitFor(() => fleet.lines(id).includes("ready"), { what: "the start of the task" });
  const called = beats().length;
  await Deno.writeTextFile(go, "");
  await cp.waitFor(() => beats().length > called, { what: "a call under way" });
  agent.signal("SIGSTOP");
  const terminal = cp.realtime.openTerminal({ cols: 80, rows: 24 });
  await delay(STALL_MS);
  agent.signal("SIGCONT");
  await prompt(terminal);
  terminal.input("echo a''ll; exit\n");
  await terminal.waitFor(({ ended }) => ended);
  assert.match(terminal.text, /\rall\r\n/);
  const { status, completion } = await fleet.ended(id);
  assert.equal(status, "success", `${completion?.error}`);
  assert.deepEqual(fleet.lines(id), ["ready", "ok"]);
  assert.deepEqual(agent.logged("control plane call failed"), []);
  assert.deepEqual(agent.logged("realtime session ended"), []);
  await leavesWell(fleet, agent);
});
