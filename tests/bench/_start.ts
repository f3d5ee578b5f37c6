import { authenticated, epochMs } from "../_realtime.ts";
import { spread } from "../_figures.ts";
import { defaultFleet, type Variant } from "./_agents.ts";
import { exactProcessorMs } from "./_process.ts";
import type { Report } from "./_report.ts";

const STARTS = 11;

/** How one start went, in milliseconds. */
interface Start {
  up: number;
  claim: number;
  /** Processor time until the session was up: what others do on the machine hardly changes it. */
  cpu: number;
}

/** From the start of the process until its session is authenticated, and until its first claim arrives. */
export async function benchStart(report: Report, variants: Variant[]): Promise<void> {
  const starts = new Map<string, Start[]>(variants.map(({ name }) => [name, []]));
  // In turn: what disturbs the machine disturbs all alike. The first ones fill a cache.
  for (let i = 0; i <= STARTS; i++) {
    for (const { name, command } of variants) {
      const one = await start(command);
      if (i > 0) starts.get(name)?.push(one);
    }
  }
  for (const [name, all] of starts) {
    const { median, worst } = spread(all.map(({ up }) => up));
    report.line("authenticated", median, name);
    report.line("claim", spread(all.map(({ claim }) => claim)).median, name);
    const of = name && `, ${name}`;
    report.beside(`start to authenticated, worst of ${STARTS}${of}`, worst, "ms");
    const cpu = spread(all.map((each) => each.cpu)).median;
    report.beside(`start to authenticated, processor time${of}`, cpu, "ms");
  }
}

async function start(command: readonly string[]): Promise<Start> {
  await using fleet = await defaultFleet();
  const { controlPlane } = fleet;
  const startedAt = epochMs();
  await using agent = fleet.spawnAgent({}, { command });
  const { at } = await authenticated(controlPlane);
  const cpu = await exactProcessorMs(agent.pid);
  const first = () => controlPlane.requests.find(({ path }) => path.endsWith("/claim"));
  const claim = await controlPlane.waitFor(first, { what: "the first claim" });
  await agent.stop();
  return { up: at - startedAt, claim: claim.at - startedAt, cpu };
}
