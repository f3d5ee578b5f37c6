import assert from "node:assert/strict";
import { delay } from "@std/async";
import * as fc from "fast-check";
import { seeded } from "../_chaos.ts";
import { exited, leavesWell, liveAgent, openShell, realtimeFleet } from "../_realtime.ts";
import { tell } from "../_together.ts";
import { EVENTS } from "./_examples.ts";
import { like, likeJson } from "./_like.ts";

const CALLS = ["/claim", "/accepted", "/started", "/logs", "/control", "/completed", "/heartbeat"];
const STATUSES = [200, 200, 200, 201, 204, 301, 429, 500, 503];
/** What could be taken for the answer of the contract would be a lie, not a mishap. */
const NO_ANSWER = fc.oneof(
  likeJson({ statusCode: 503, path: "/x", message: "no" }, { ok: false }, [], "x"),
  fc.constant("[".repeat(200_000) + "]".repeat(200_000)),
  fc.constant('{"a":'.repeat(50_000)),
);

/**
 * A live agent between answers that are none and events that nobody sends: what it was given to do is
 * done all the same, once. Gives how many there were.
 */
export async function liveFuzz(durationMs: number, seed: number): Promise<number> {
  const random = seeded(seed);
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)];
  await using fleet = await realtimeFleet({ task_poll_interval: "500ms" });
  const { controlPlane: cp, nodeId } = fleet;
  await using agent = await liveAgent(fleet);
  const answers = fc.sample(NO_ANSWER, { seed, numRuns: 200 });
  const events = Object.entries(EVENTS)
    // These would be obeyed: a root access, or a task that the control plane knows nothing of.
    .filter(([name]) => name !== "root-access.updated" && name !== "task.dispatch")
    .flatMap(([name, example]) =>
      fc.sample(like(example), { seed, numRuns: 60 }).map((payload) => [name, payload] as const)
    );
  let count = 0;
  const tasks: string[] = [];
  for (const endMs = performance.now() + durationMs; performance.now() < endMs;) {
    if (tasks.length < 40) tasks.push(fleet.shell("seq 20"));
    const path = pick(CALLS) ?? "";
    cp.fault({ path, times: 2, status: pick(STATUSES) ?? 200, body: pick(answers) ?? "" });
    for (let i = 0; i < 20; i++) {
      const [name = "", payload] = pick(events) ?? [];
      cp.realtime.send(nodeId, name, payload);
    }
    count += 21;
    await delay(20);
  }
  cp.clearFaults();
  for (const id of tasks) {
    const { status } = await fleet.ended(id);
    assert.equal(status, "success", cp.describe(id));
  }
  const terminal = await openShell(fleet);
  terminal.input("exit\n");
  await exited(terminal);
  assert.deepEqual(agent.logged("uncaught error, the agent ends"), []);
  await leavesWell(fleet, agent, /terminal\./);
  tell(`${"a live agent".padEnd(38)}${String(count).padStart(9)} events, ${tasks.length} tasks`);
  return count;
}
