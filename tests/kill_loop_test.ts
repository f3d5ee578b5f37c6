import assert from "node:assert/strict";
import { delay } from "@std/async";
import { Fleet } from "./_agent.ts";
import { assertKeptInTurn, countingCommand, seeded } from "./_chaos.ts";
import { eventually, livingWith } from "./_processes.ts";
import { tell } from "./_together.ts";

const LINES = 40;

Deno.test("killed again and again, the agent neither loses a task nor runs one twice", async () => {
  const seed = Date.now() % 1_000_000;
  tell(`seed ${seed}`);
  const random = seeded(seed);
  await using fleet = await Fleet.start(
    { task_poll_interval: "500ms" },
    // What an agent was given that was killed comes again soon, however long all of it takes.
    { leaseMs: 1_000, queueTimeoutMs: 3_600_000 },
  );
  const { controlPlane: cp } = fleet;
  cp.fault({ path: "/tasks/", latencyMs: () => random() * 20 });
  const ids: string[] = [];
  for (let round = 0; round < 12; round++) {
    for (const pause of [0, 0.01, 0.03]) {
      ids.push(fleet.shell(countingCommand(fleet, LINES, pause)));
    }
    await using agent = await fleet.agent();
    await delay(random() * 700);
    await agent.kill();
  }
  await eventually("the end of their claims", () => Promise.resolve(cp.heldClaims === 0));
  cp.options.leaseMs = 60_000;
  await using agent = await fleet.agent();
  for (const id of ids) {
    const task = await fleet.ended(id);
    await assertKeptInTurn(fleet, task, LINES);
    await fleet.closed(id);
    assert.deepEqual(await livingWith(id), []);
  }
  const restarted = ids.filter((id) => cp.task(id).status === "failed").length;
  tell(`12 kills: ${ids.length} tasks, ${restarted} of them hit while they ran`);
  assert.deepEqual(cp.violations, []);
  assert.equal((await agent.stop()).code, 0);
});
