import assert from "node:assert/strict";
import { delay } from "@std/async";
import { hasEnded } from "../scripts/dev/control_plane.ts";
import { eventually, livingWith } from "./_processes.ts";
import { epochMs, leavesWell, liveAgent, prompt, realtimeFleet } from "./_realtime.ts";
import { untilThere } from "./_shell.ts";

/** Longer than the limit of a call, in milliseconds. */
const STALL_MS = 2_300;
/** The limit of the task, in milliseconds. */
const LIMIT_MS = 3_000;
/** A control plane that stood still for longer is late for calls by itself, in milliseconds. */
const MAX_PAUSE_MS = 500;
const MAX_TRIES = 10;

/** How long this process, and the control plane in it, has stood still at most. */
class Standstill implements Disposable {
  /** In milliseconds. */
  longestMs = 0;
  #lastMs = performance.now();
  readonly #timer = setInterval(() => {
    const nowMs = performance.now();
    this.longestMs = Math.max(this.longestMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
  }, 20);

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Stops an agent for a while; whether the machine let it be seen what comes of that. */
async function stopped(): Promise<boolean> {
  using standstill = new Standstill();
  await using fleet = await realtimeFleet({ request_timeout: "2s", heartbeat_interval: "1s" });
  const { controlPlane: cp } = fleet;
  await using agent = await liveAgent(fleet);
  // It is kept waiting for an answer each time that it is stopped.
  const beats = () => cp.requests.filter(({ path }) => path.endsWith("/heartbeat"));
  cp.fault({ path: "/heartbeat", latencyMs: 300 });
  const go = `${fleet.folder}/go`;
  const command = `echo ready; ${untilThere(go)}; sleep 0.5; echo ok`;
  const id = fleet.shell(command, { timeout: `${LIMIT_MS}ms` });
  await cp.waitForTask(id, (task) => task.logs.length > 0 || hasEnded(task));
  const called = beats().length;
  await Deno.writeTextFile(go, "");
  await cp.waitFor(() => beats().length > called, { what: "a call under way" });
  agent.signal("SIGSTOP");
  const wasInTime = epochMs() < (cp.task(id).startedAt ?? NaN) + LIMIT_MS;
  if (!wasInTime) return false;
  try {
    const terminal = cp.realtime.openTerminal({ cols: 80, rows: 24 });
    await delay(STALL_MS);
    await eventually("the end of its processes", async () => (await livingWith(id)).length <= 1);
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
    return true;
  } catch (error) {
    if (standstill.longestMs > MAX_PAUSE_MS) return false;
    throw error;
  }
}

Deno.test("an agent that stood still loses neither a call, nor a terminal, nor a task", async () => {
  for (let tries = 0; tries < MAX_TRIES; tries++) if (await stopped()) return;
  throw new Error(`the machine itself stood still in each of ${MAX_TRIES} tries`);
});
