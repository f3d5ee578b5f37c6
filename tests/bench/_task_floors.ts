import { defaultFleet } from "./_agents.ts";
import { bareDeno } from "./_floors.ts";
import type { Report } from "./_report.ts";
import { LINES, queued, QUEUES, SINGLE, slowLogs, taskMs } from "./_tasks.ts";
import { spread } from "../_figures.ts";

/** A log flood is so many calls: 60 rows, and full entries. */
const LOG_CALLS = 460;

/** Measures tasks that `_bare_agent.ts` runs: what a Deno needs that does nothing for them but must. */
export async function taskFloors(report: Report, deno: string): Promise<void> {
  await using fleet = await defaultFleet();
  const folder = await Deno.makeTempDir({ dir: fleet.folder });
  const file = new URL("_bare_agent.ts", import.meta.url).pathname;
  const { url } = fleet.controlPlane;
  const agent = bareDeno(deno, file, [url, fleet.nodeId, fleet.agentToken, folder]);
  try {
    report.floor("task", await taskMs(fleet, SINGLE));
    const times: number[] = [];
    for (let i = 0; i < QUEUES; i++) times.push(await queued(fleet, 100));
    report.floor("hundred", spread(times).median);
    slowLogs(fleet);
    const startedMs = performance.now();
    await fleet.ended(fleet.shell(String(LOG_CALLS)));
    report.floor("logs", LINES / (performance.now() - startedMs) * 1_000);
  } finally {
    agent.kill("SIGKILL");
    await agent.status;
  }
}
