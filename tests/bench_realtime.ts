import { delay } from "@std/async";
import { join } from "@std/path";
import type { AgentProcess, Fleet } from "./_agent.ts";
import { memory, ms, print, spread } from "./_figures.ts";
import {
  authenticated,
  dropWhile,
  epochMs,
  liveAgent,
  numbers,
  openShell,
  realtimeFleet,
  startLoop,
} from "./_realtime.ts";

const KEYS = 200;
const FLOOD_BYTES = 48 * 1024 * 1024;
const LOOP_LINES = 3_000;
const DROPS = 3;
/** The kernel counts processor time in hundredths of a second. */
const TICK_MS = 10;

/** Prints the figures of the realtime session and its terminals; `idleMs` is how long idleness is watched. */
export async function benchRealtime(idleMs: number): Promise<void> {
  await startUp();
  await onFleet(idle(idleMs));
  await onFleet(snapshots, { metrics_interval: "100ms", realtime_ping_interval: "30s" });
  await onFleet(echo);
  await onFleet(flood);
  await onFleet(drops);
  await onFleet(serverBack);
}

type Work = (fleet: Fleet, agent: AgentProcess) => Promise<void>;

/** Runs something on a fresh fleet with the settings that users have. */
async function onFleet(work: Work, config: Record<string, unknown> = {}): Promise<void> {
  await using fleet = await realtimeFleet({ realtime_backoff_jitter: 0.2, ...config }, {
    transcriptBytes: 2 * FLOOD_BYTES,
  });
  await using agent = await liveAgent(fleet);
  await work(fleet, agent);
  await agent.stop();
  for (const violation of fleet.controlPlane.violations) print("VIOLATION", violation);
}

async function startUp(): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    await using fleet = await realtimeFleet();
    const startedAt = epochMs();
    await using agent = fleet.spawnAgent();
    times.push((await authenticated(fleet.controlPlane)).at - startedAt);
    await agent.stop();
  }
  const { median, worst } = spread(times);
  print("start of the process to authenticated, median of 5", ms(median));
  print("… worst", ms(worst));
}

function idle(forMs: number): Work {
  return async (_fleet, agent) => {
    await delay(2_000);
    const before = await processorMs(agent.pid);
    await delay(forMs);
    const usedMs = await processorMs(agent.pid) - before;
    const share = (usedMs / forMs * 100).toFixed(2);
    print(`idle with a session for ${ms(forMs)}: CPU of one core`, `${share} %`);
    print("… memory (RSS)", await memory(agent.pid, "VmRSS"));
  };
}

/** All that the agent does while it hardly does anything else. */
async function snapshots({ controlPlane: { realtime } }: Fleet, agent: AgentProcess) {
  await delay(1_000);
  const [fromMs, from] = [await processorMs(agent.pid), realtime.metrics().length];
  await delay(4_000);
  const usedMs = await processorMs(agent.pid) - fromMs;
  print("one snapshot: CPU time", ms(usedMs / (realtime.metrics().length - from)));
}

async function echo(fleet: Fleet): Promise<void> {
  const terminal = await openShell(fleet);
  const times: number[] = [];
  for (let i = 0; i < KEYS; i++) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const off = terminal.onOutput(() => resolve());
    const startedMs = performance.now();
    terminal.input(String.fromCharCode(97 + i % 26));
    await promise;
    times.push(performance.now() - startedMs);
    off();
    await delay(Math.random() * 30);
  }
  const { median, worst } = spread(times);
  print(`echo of a key, median of ${KEYS}`, ms(median));
  print("… worst", ms(worst));
}

async function flood(fleet: Fleet, agent: AgentProcess): Promise<void> {
  const { controlPlane } = fleet;
  const content = new Uint8Array(FLOOD_BYTES);
  for (let at = 0; at < FLOOD_BYTES; at += 65_536) {
    crypto.getRandomValues(content.subarray(at, at + 65_536));
  }
  const file = join(fleet.folder, "flood");
  await Deno.writeFile(file, content);
  const terminal = await openShell(fleet);
  controlPlane.options.realtimeHandlerMs = () => Math.random() * 4;
  terminal.input(`stty -opost -echo; cat ${file}; exit\n`);
  await terminal.waitFor(({ byteLength }) => byteLength > 65_536);
  const [fromMs, from] = [performance.now(), terminal.byteLength];
  await terminal.waitFor(({ ended }) => ended, { timeoutMs: 60_000 });
  const seconds = (performance.now() - fromMs) / 1_000;
  const megabytes = (terminal.byteLength - from) / 1e6;
  const whole = endsWith(terminal.bytes, content);
  print(
    "flood of a terminal, handlers of 0–4 ms",
    `${(megabytes / seconds).toFixed(1)} MB/s, ${whole ? "every byte in order" : "NOT WHOLE"}`,
  );
  print("… peak memory (RSS)", await memory(agent.pid, "VmHWM"));
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

async function drops(fleet: Fleet): Promise<void> {
  const terminal = await openShell(fleet);
  await startLoop(
    terminal,
    `for i in $(seq ${LOOP_LINES}); do echo n$i; sleep 0.001; done; exit`,
  );
  await dropWhile(fleet, [terminal], DROPS);
  await terminal.waitFor(({ ended }) => ended, { timeoutMs: 60_000 });
  const seen = numbers(terminal);
  const lost = LOOP_LINES - new Set(seen).size;
  const twice = seen.length - new Set(seen).size;
  print(
    `lines of a loop through ${DROPS} drops`,
    `${lost} of ${LOOP_LINES} lost, ${twice} there twice`,
  );
}

async function serverBack(fleet: Fleet): Promise<void> {
  const { controlPlane } = fleet;
  for (const awayMs of [500, 3_000]) {
    const { id } = await authenticated(controlPlane);
    await controlPlane.stop();
    await delay(awayMs);
    const backAt = epochMs();
    await controlPlane.start();
    const { at } = await authenticated(controlPlane, id);
    print(`server back after ${ms(awayMs)} to authenticated`, ms(at - backAt));
  }
}

/** The processor time of a process and of the children that it has seen to their end. */
async function processorMs(pid: number): Promise<number> {
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${pid}/stat`] }).output();
  const stat = new TextDecoder().decode(stdout);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_MS;
}
