/**
 * What is released, for a while: `deno task soak [--source] [seconds] [seed]`. One agent lives
 * through tasks, terminals, drops and outages and must not grow; beside it others are killed and
 * stopped while their control plane fails. `--source` takes the checkout's agent, and
 * NODERAX_TEST_COMMAND any other. The seed repeats the choices, though not the moments at which they
 * meet the agents.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Fleet } from "./_agent.ts";
import { seeded } from "./_chaos.ts";
import { amounts } from "./_amounts.ts";
import { AGENT, FROM_SOURCE } from "./_command.ts";
import { filesIn } from "./_processes.ts";
import { realtimeFleet } from "./_realtime.ts";
import { onRelease } from "./_release.ts";
import { Chaos } from "./_soak_chaos.ts";
import { LongLife } from "./_soak_life.ts";
import { tell } from "./_together.ts";

const fromSource = Deno.args.includes("--source");
const numbers = Deno.args.filter((arg) => arg !== "--source");
const [seconds = 25, seed = Math.ceil(Math.random() * 1e9)] = amounts(
  "deno task soak [--source] [seconds] [seed]",
  numbers,
);

async function soak(): Promise<void> {
  tell(`soak: ${seconds} s, seed ${seed}, ${AGENT.join(" ")}`);
  await using fleet = await realtimeFleet({ task_poll_interval: "500ms" });
  await using harmed = await Fleet.start(
    { task_poll_interval: "500ms", request_timeout: "1s", shutdown_timeout: "1s" },
    { leaseMs: 2_000 },
  );
  const life = new LongLife(fleet);
  // Most of the processor is the long life's in a long run.
  const chaos = new Chaos(harmed, seeded(seed), seconds > 120 ? 8 : 1);
  await Promise.all([life.run(seconds * 1_000), chaos.run(seconds * 1_000)]);
  for (const { controlPlane } of [fleet, harmed]) assert.deepEqual(controlPlane.violations, []);
  const left = await filesIn(fleet.stateFolder);
  const more = (await filesIn(harmed.stateFolder)).filter((file) => !left.includes(file));
  assert.deepEqual(more, [], "left by agents that were harmed");
  const ends = Map.groupBy(harmed.controlPlane.tasks, ({ status }) => status);
  const counts = [...ends].map(([status, tasks]) => `${tasks.length} ${status}`).join(", ");
  tell(
    `soak: ${chaos.lines.size} more tasks (${counts}) on agents with ${chaos.faults} faults, ` +
      `${chaos.kills} kills, ${chaos.stops} stops: nothing lost, nothing run twice, nothing grown`,
  );
}

if (FROM_SOURCE && !fromSource) Deno.exit(await onRelease(import.meta.filename, numbers));
await soak();
