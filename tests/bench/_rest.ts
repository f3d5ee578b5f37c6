import { delay } from "@std/async";
import type { Fleet } from "../_agent.ts";
import { defaultFleet, type Variant } from "./_agents.ts";
import { bareDeno } from "./_floors.ts";
import { memoryOf, processorShares } from "./_process.ts";
import type { Report } from "./_report.ts";

/** So long the work of a start goes on. */
const SETTLE_MS = 10_000;
/** In a long rest the memory is told so often. */
const TELL_EVERY_MS = 600_000;

/** What agents, and a Deno that does nothing, cost in the same time of rest. */
export async function benchRest(
  report: Report,
  variants: Variant[],
  deno: string,
  forMs: number,
): Promise<void> {
  await using held = new AsyncDisposableStack();
  const agents: { name: string; pid: number }[] = [];
  for (const { name, command } of variants) {
    const fleet: Fleet = held.use(await defaultFleet());
    const agent = held.use(fleet.spawnAgent({}, { command }));
    await agent.waitForLog("realtime session is up");
    agents.push({ name, pid: agent.pid });
  }
  const file = await Deno.makeTempFile({ suffix: ".js" });
  held.defer(() => Deno.remove(file));
  await Deno.writeTextFile(file, "setInterval(() => {}, 3_600_000);\n");
  const floor = held.adopt(bareDeno(deno, file), async (process) => {
    process.kill("SIGKILL");
    await process.status;
  });
  const all = [...agents.map(({ pid }) => pid), floor.pid];
  await delay(SETTLE_MS);
  const shares = await watch(all, forMs, async () => {
    for (const { name, pid } of agents) {
      const { now, peak } = await memoryOf(pid);
      report.tell(`    ${name} now ${now.toFixed(1)} MB, peak ${peak.toFixed(1)} MB`);
    }
  });
  report.tell(`  rest of ${forMs / 1_000} s`);
  const bare = await memoryOf(floor.pid);
  report.floor("cpu", shares.at(-1) ?? NaN);
  report.floor("memory", bare.now);
  report.floor("private", bare.private);
  for (const [i, { name, pid }] of agents.entries()) {
    const memory = await memoryOf(pid);
    report.line("idleCpu", shares[i] ?? NaN, name);
    report.line("idleMemory", memory.now, name);
    report.line("idlePrivate", memory.private, name);
  }
}

/** The shares of the whole time, which `tell` cuts into pieces. */
async function watch(pids: number[], forMs: number, tell: () => Promise<void>): Promise<number[]> {
  const sums = pids.map(() => 0);
  for (let leftMs = forMs; leftMs > 0; leftMs -= TELL_EVERY_MS) {
    const pieceMs = Math.min(leftMs, TELL_EVERY_MS);
    const shares = await processorShares(pids, pieceMs);
    shares.forEach((share, i) => sums[i] = (sums[i] ?? 0) + share * pieceMs / forMs);
    if (forMs > TELL_EVERY_MS) await tell();
  }
  return sums;
}
