/**
 * Many agents against one control plane that restarts, refuses and is slow:
 * `deno task herd [agents] [seed] [--plot]`. With fewer than 1000 agents it is a short one. The laws
 * are those of a fleet: after whatever has happened to all of them at one moment, 95 % are back
 * within 60 s, and no second brings more than a tenth of them. `--plot` writes docs/herd.svg.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "@std/path";
import { delay } from "@std/async";
import { amounts } from "../_amounts.ts";
import { epochMs } from "../_realtime.ts";
import { tell } from "../_together.ts";
import { assertNotInStep, assertSpread, bySecond, mostInASecond, secondsUntil } from "./_laws.ts";
import { plot } from "./_plot.ts";
import { WatchedHerd } from "./_watch.ts";

const SPREAD_MS = 20_000;
const BACK_SECONDS = 60;
/** Two blows are as one to whoever has hardly recovered from the first. */
const SETTLE_MS = 2 * SPREAD_MS;
/** A call counts as in flight for so long after its caller has gone. */
const HANG_UP_MS = 500;
/** The plot shows so many seconds. */
const SHOWN_SECONDS = 30;
const words = Deno.args.filter((word) => word !== "--plot");
const isPlotted = words.length < Deno.args.length;
const [agents = 1_000, seed = Math.ceil(Math.random() * (2 ** 31 - 1))] = amounts(
  "deno task herd [agents] [seed] [--plot]",
  words,
);
const isShort = agents < 1_000;

/** What happens to all agents at one moment; gives the moment from which they may come back. */
type Blow = (herd: WatchedHerd) => Promise<number>;

const down = (seconds: number): Blow => async ({ controlPlane }) => {
  await controlPlane.stop();
  await delay(seconds * 1_000);
  await controlPlane.start();
  return epochMs();
};

/** A restart, after which everything is refused for a while, or takes long. */
function troubledRestart(
  fault: Parameters<WatchedHerd["controlPlane"]["fault"]>[0],
  seconds: number,
): Blow {
  return async (herd) => {
    const { controlPlane } = herd;
    const trouble = controlPlane.fault(fault);
    const backMs = await down(1)(herd);
    setTimeout(() => trouble.remove(), seconds * 1_000);
    return fault.status ? backMs + seconds * 1_000 : backMs;
  };
}

const busy = { path: "/", status: 429, headers: { "retry-after": "5" } };
const slow = { path: "/", latencyMs: () => 1_000 + Math.random() * 2_000 };
/** The sessions end, and calls are answered as before. */
const cut = ({ controlPlane }: WatchedHerd) => {
  controlPlane.realtime.dropSockets();
  return epochMs();
};

/** Only WebSockets are refused for a while, as by a gateway of their own that restarts. */
const noGateway = (seconds: number): Blow => async (herd) => {
  const fault = herd.controlPlane.fault({ path: "/socket.io/", status: 503 });
  cut(herd);
  await delay(seconds * 1_000);
  fault.remove();
  return epochMs();
};

const BLOWS: Record<string, Blow> = {
  "a restart of 2 s": down(2),
  "every session is cut": (herd) => Promise.resolve(cut(herd)),
  "every session is cut, and none opened for 10 s": noGateway(10),
  "a restart, then 10 s of 429": troubledRestart(busy, 10),
  "a restart, then 20 s of slowness": troubledRestart(slow, 20),
  "an outage of a minute": down(60),
};
const SHORT = ["a restart of 2 s", "every session is cut"];

function share(part: number, whole: number): string {
  return `${(part / whole * 100).toFixed(1)} %`;
}

/** Nothing happens: what a fleet costs, and whether it does anything in step. */
async function rest(herd: WatchedHerd, seconds: number): Promise<void> {
  await delay(isShort ? 1_000 : SPREAD_MS);
  herd.takeStallMs();
  const fromMs = epochMs();
  await delay(seconds * 1_000);
  const stallMs = herd.takeStallMs();
  const all = herd.calls("/", fromMs).length;
  tell(`at rest, ${seconds} s: ${(all / seconds).toFixed(1)} calls a second`);
  for (const call of ["heartbeat", "claim"]) {
    const moments = herd.calls(`/${call}`, fromMs);
    const most = mostInASecond(moments);
    const mean = (moments.length / seconds).toFixed(1);
    tell(`  ${call}s: ${mean} a second, ${most} in the fullest`);
    assertNotInStep(`${call}s at rest`, moments, { seconds, stallMs });
  }
  tellStall(stallMs);
}

/** Figures of a machine that has no time are none. */
function tellStall(stallMs: number): void {
  if (stallMs > 0) tell(`  (a process of the herd stood still for ${stallMs} ms)`);
}

/** Strikes a herd; gives how many came back in each second after it could. */
async function strike(herd: WatchedHerd, what: string, blow: Blow): Promise<number[]> {
  herd.takeStallMs();
  const startMs = epochMs();
  const backMs = await blow(herd);
  await herd.allConnected(startMs);
  const sessions = herd.sessions(startMs);
  const seconds = secondsUntil(0.95, sessions, backMs);
  const calls = mostInASecond(herd.calls("/api/", startMs));
  tell(
    `${what}: 95 % back after ${seconds.toFixed(1)} s, the last after ` +
      `${secondsUntil(1, sessions, backMs).toFixed(1)} s; ` +
      `the fullest second has ${share(mostInASecond(sessions), agents)}, and ${calls} calls`,
  );
  const stallMs = herd.takeStallMs();
  tellStall(stallMs);
  if (herd.spreadMs > 0) {
    assert(seconds <= BACK_SECONDS, `${what}: 95 % are back after ${seconds} s`);
    assertSpread(what, sessions, { agents, stallMs });
  }
  return bySecond(sessions, backMs, SHOWN_SECONDS);
}

async function withHerd<T>(spreadMs: number, work: (herd: WatchedHerd) => Promise<T>): Promise<T> {
  await using herd = await WatchedHerd.start(agents, seed, spreadMs);
  const result = await work(herd);
  // A control plane that stands still hears late that a caller has gone, and counts its call on.
  const isJudged = herd.longestStallMs < HANG_UP_MS;
  const breaches = herd.controlPlane.violations
    .filter((sentence) => isJudged || !sentence.includes("still in flight"));
  assert.deepEqual(breaches, []);
  return result;
}

tell(`herd: ${agents} agents, seed ${seed}`);
const back = await withHerd(SPREAD_MS, async (herd) => {
  await rest(herd, isShort ? 15 : 60);
  const back = new Map<string, number[]>();
  for (const [what, blow] of Object.entries(BLOWS)) {
    if (isShort && !SHORT.includes(what)) continue;
    back.set(what, await strike(herd, what, blow));
    if (!isShort) await delay(SETTLE_MS);
  }
  return back;
});
if (isPlotted) {
  const [what = "", blow = down(2)] = Object.entries(BLOWS)[0] ?? [];
  const before = await withHerd(0, (herd) => strike(herd, `${what}, no reconnect_spread`, blow));
  const file = join(import.meta.dirname ?? "", "..", "..", "docs", "herd.svg");
  const title = `${agents} agents come back after ${what}`;
  await Deno.writeTextFile(file, plot({ title, agents, before, after: back.get(what) ?? [] }));
}
tell("herd: every law holds");
Deno.exit(0);
