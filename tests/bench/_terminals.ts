import { delay } from "@std/async";
import { join } from "@std/path";
import type { AgentProcess, Fleet } from "../_agent.ts";
import type { Terminal } from "../../scripts/dev/control_plane.ts";
import { spread } from "../_figures.ts";
import { openShell } from "../_realtime.ts";
import { onFleet, type Variant } from "./_agents.ts";
import { memoryOf } from "./_process.ts";
import type { Report } from "./_report.ts";

const KEYS = 200;
const FLOOD_BYTES = 48 * 1024 * 1024;
/** What each of many terminals prints. */
const SHARE_BYTES = 2 * 1024 * 1024;
const LONG = { timeoutMs: 120_000 };

/** The figures of one terminal. */
export async function benchTerminals(report: Report, variant: Variant): Promise<void> {
  await onFleet(variant, async (fleet) => {
    const { median, worst } = spread(await echoes(await openShell(fleet), KEYS));
    report.line("echo", median);
    report.line("echoWorst", worst);
  });
  const room = { transcriptBytes: 2 * FLOOD_BYTES };
  await onFleet(variant, (fleet, agent) => flood(report, fleet, agent), {}, room);
}

/** How the cost grows with the terminals that are open. */
export async function growTerminals(report: Report, variant: Variant): Promise<void> {
  for (const count of [1, 8, 32]) {
    await onFleet(variant, async (fleet, agent) => {
      const terminals = await Promise.all(Array.from({ length: count }, () => openShell(fleet)));
      const before = await memoryOf(agent.pid);
      report.beside(`${count} terminals, at rest: memory (RSS)`, before.now, "MB");
      const [last] = terminals;
      if (last) {
        report.beside(
          `… key echo with ${count}`,
          spread(await echoes(last, KEYS / 4)).median,
          "ms",
        );
      }
      const startedMs = performance.now();
      const print = `stty -echo; head -c ${SHARE_BYTES} /dev/zero | tr '\\0' x; exit`;
      for (const terminal of terminals) terminal.input(`\x15${print}\n`);
      await Promise.all(terminals.map((terminal) => terminal.waitFor(({ ended }) => ended, LONG)));
      const seconds = (performance.now() - startedMs) / 1_000;
      report.beside(`… all ${count} flooded at once`, count * SHARE_BYTES / 1e6 / seconds, "MB/s");
      report.beside(`… peak memory (RSS) with ${count}`, (await memoryOf(agent.pid)).peak, "MB");
    });
  }
}

/** How long each of some keys takes to be echoed, in milliseconds. */
async function echoes(terminal: Terminal, keys: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < keys; i++) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const off = terminal.onOutput(() => resolve());
    const startedMs = performance.now();
    terminal.input(String.fromCharCode(97 + i % 26));
    await promise;
    times.push(performance.now() - startedMs);
    off();
    await delay(Math.random() * 30);
  }
  return times;
}

async function flood(report: Report, fleet: Fleet, agent: AgentProcess): Promise<void> {
  const content = new Uint8Array(FLOOD_BYTES);
  for (let at = 0; at < FLOOD_BYTES; at += 65_536) {
    crypto.getRandomValues(content.subarray(at, at + 65_536));
  }
  const file = join(fleet.folder, "flood");
  await Deno.writeFile(file, content);
  const terminal = await openShell(fleet);
  fleet.controlPlane.options.realtimeHandlerMs = () => Math.random() * 3;
  terminal.input(`stty -opost -echo; cat ${file}; exit\n`);
  await terminal.waitFor(({ byteLength }) => byteLength > 65_536, LONG);
  const [fromMs, from] = [performance.now(), terminal.byteLength];
  await terminal.waitFor(({ ended }) => ended, LONG);
  const seconds = (performance.now() - fromMs) / 1_000;
  const megabytes = (terminal.byteLength - from) / 1e6;
  if (!endsWith(terminal.bytes, content)) throw new Error("the flood did not come through whole");
  report.line("flood", megabytes / seconds);
  report.line("floodPeak", (await memoryOf(agent.pid)).peak);
}

/** Whether `content` is there, up to what a shell writes when it exits. */
function endsWith(bytes: Uint8Array<ArrayBuffer>, content: Uint8Array<ArrayBuffer>): boolean {
  const start = bytes.length - content.length;
  for (let shift = 0; shift < 64; shift++) {
    const part = bytes.subarray(start - shift, start - shift + content.length);
    if (part.length === content.length && part.every((byte, i) => byte === content[i])) return true;
  }
  return false;
}
