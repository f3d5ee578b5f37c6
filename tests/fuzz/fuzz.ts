/**
 * Whatever others can hand to the agent, for a while: `deno task fuzz [seconds] [seed]`. Everything
 * that comes in is made from what is right, part by part; a case that fails is shown at its smallest,
 * and its seed repeats it. At the end a live agent gets such answers and events.
 *
 * @module
 */
import * as fc from "fast-check";
import { amounts } from "../_amounts.ts";
import { tell } from "../_together.ts";
import { type Door, doors } from "./_doors.ts";
import { liveFuzz } from "./_live.ts";

const RUNS = 20;
/** How long a smaller case is looked for, in milliseconds. */
const SMALLEST_MS = 20_000;
const [seconds = 30, seed = Math.ceil(Math.random() * (2 ** 31 - 1))] = amounts(
  "deno task fuzz [seconds] [seed]",
  Deno.args,
);

/** Has things come in at a door for so long; gives how many. */
async function fuzz({ name, events, property }: Door, untilMs: number): Promise<number> {
  let runs = 0;
  for (let round = 0; round === 0 || performance.now() < untilMs; round++) {
    const options = { seed: seed + round, numRuns: RUNS };
    let details = await fc.check(property, { ...options, endOnFailure: true });
    if (details.failed) {
      tell(`fuzz: "${name}" fails; the smallest case is looked for`);
      const limits = { interruptAfterTimeLimit: SMALLEST_MS, markInterruptAsFailure: true };
      const smaller = await fc.check(property, { ...options, ...limits });
      if (smaller.failed && smaller.counterexample !== null) details = smaller;
      tell(`fuzz: "${name}", seed ${seed + round}: ${fc.defaultReportMessage(details)}`);
      throw new Error(`fuzz: a case was found at "${name}", see above`);
    }
    runs += RUNS;
  }
  const count = runs * events;
  tell(`${name.padEnd(38)}${String(count).padStart(9)} events`);
  return count;
}

tell(`fuzz: ${seconds} s, seed ${seed}`);
let found: unknown;
globalThis.addEventListener("unhandledrejection", ({ reason }) => found ??= reason);
const all = await doors();
let events = 0;
for (const door of all) {
  events += await fuzz(door, performance.now() + seconds * 800 / all.length);
  await door.close?.();
}
events += await liveFuzz(seconds * 200, seed);
if (found) throw found;
tell(`fuzz: ${events} events, no crash, no rejection that nobody catches, no breach`);
