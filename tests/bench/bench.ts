/**
 * What the agent costs: `deno task bench [--source] [--json] [--idle seconds] [parts …]`. It prints the
 * table of docs/performance.md for this checkout's release, `--source` for the checkout itself and
 * NODERAX_TEST_COMMAND for any other agent, with what a machine takes without any agent. No figure
 * makes it fail. The parts are start, tasks, rest, terminals, packages and growth; all of them by default.
 *
 * @module
 */
import { dirname, join } from "@std/path";
import { parseArgs } from "node:util";
import { AGENT, FROM_SOURCE } from "../_command.ts";
import { onRelease } from "../_release.ts";
import { tell } from "../_together.ts";
import { onFleet, type Variant, variants } from "./_agents.ts";
import { floors } from "./_floors.ts";
import { Report } from "./_report.ts";
import { benchRest } from "./_rest.ts";
import { benchStart } from "./_start.ts";
import { taskFloors } from "./_task_floors.ts";
import { benchPackages, benchTasks, growTasks } from "./_tasks.ts";
import { benchTerminals, growTerminals } from "./_terminals.ts";

const USAGE = "deno task bench [--source] [--json] [--idle seconds] [parts …]";

/** What the parts work with. */
interface Bench {
  report: Report;
  /** All ways to start the agent. */
  all: Variant[];
  /** The one that is measured where they do not differ. */
  one: Variant;
  /** The runtime of the agent. */
  deno: string;
  idleMs: number;
}

const PARTS: Record<string, (bench: Bench) => Promise<void>> = {
  start: ({ report, all }) => benchStart(report, all),
  tasks: async ({ report, one, deno }) => {
    await taskFloors(report, deno);
    await benchTasks(report, one);
  },
  rest: ({ report, all, deno, idleMs }) => benchRest(report, all, deno, idleMs),
  terminals: ({ report, one }) => benchTerminals(report, one),
  packages: ({ report, one }) => benchPackages(report, one),
  growth: async ({ report, one }) => {
    await growTasks(report, one);
    await growTerminals(report, one);
  },
};

function readArguments() {
  const options = {
    source: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    idle: { type: "string", default: "45" },
  } as const;
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const unknown = positionals.find((part) => !Object.hasOwn(PARTS, part));
    if (unknown !== undefined) throw new Error(`there is no part "${unknown}"`);
    const idleMs = Number(values.idle) * 1_000;
    if (!(idleMs > 0)) throw new Error(`"${values.idle}" is no number of seconds`);
    const parts = positionals.length > 0 ? positionals : Object.keys(PARTS);
    return { ...values, idleMs, parts };
  } catch (error) {
    const sentence = `${error instanceof Error ? error.message : error}: use "${USAGE}"\n`;
    Deno.stderr.writeSync(new TextEncoder().encode(sentence));
    Deno.exit(2);
  }
}

/** The Deno of a release lies beside its program. */
async function runtimeOf([program = ""]: readonly string[]): Promise<string> {
  const own = join(dirname(program), "lib", "deno");
  return await Deno.stat(own).then(() => own, () => Deno.execPath());
}

async function bench(): Promise<void> {
  const { json, idleMs, parts } = readArguments();
  const report = new Report(json ? () => {} : tell);
  const all = await variants();
  const [one = { name: "", command: AGENT }] = all;
  const deno = await runtimeOf(AGENT);
  report.tell(`bench: ${AGENT.join(" ")}`);
  await floors(report, deno);
  // The first start of a release has nothing kept yet.
  await onFleet(one, () => Promise.resolve());
  for (const part of parts) await PARTS[part]?.({ report, all, one, deno, idleMs });
  tell(
    json
      ? report.json({ agent: AGENT.join(" "), at: new Date().toISOString() })
      : `\n${report.text()}`,
  );
}

const { source } = readArguments();
if (FROM_SOURCE && !source) Deno.exit(await onRelease(import.meta.filename, Deno.args));
await bench();
