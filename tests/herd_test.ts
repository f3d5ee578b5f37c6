import assert from "node:assert/strict";
import { Reachability } from "../src/control_plane/reachability.ts";
import { seeded } from "./_chaos.ts";
import { mostInASecond, secondsUntil } from "./herd/_laws.ts";

const AGENTS = 1_000;
const SPREAD_MS = 20_000;
const SEEDS = 50;
/** How many of them may have their turn within one second: the law's tenth, less what machines add. */
const MOST = 0.085 * AGENTS;
/** What hardly ever happens uses the law up. */
const MOST_AFTER_A_STANDSTILL = 0.1 * AGENTS;

/** What a control plane does that has ended all sessions at the moment 0. */
interface Blow {
  /** From when on it answers again. */
  upMs: number;
  /** For how long its refusals until then ask to be left alone. */
  askedMs?: number;
  /** Until then it does not even refuse. */
  heldMs?: number;
}

const BLOWS: Record<string, Blow> = {
  "sessions are cut": { upMs: 0 },
  "a restart": { upMs: 2_000 },
  "10 s of 429, to come after 5 s": { upMs: 11_000, askedMs: 5_000 },
  "30 s of 429, to come after 20 s": { upMs: 31_000, askedMs: 20_000 },
  "100 s of 429, to come after a minute": { upMs: 100_000, askedMs: 60_000 },
  "an outage of a minute": { upMs: 60_000 },
  "nothing is answered for 20 s, and then all at once refused": { upMs: 20_000, heldMs: 20_000 },
  "all is refused at once after 40 s, and then for 30 s": { upMs: 70_000, heldMs: 40_000 },
};

/** When each agent of a fleet is answered: nothing but its turns decides that. */
function returns(seed: number, { upMs, askedMs = 0, heldMs = 0 }: Blow): number[] {
  const random = seeded(seed);
  return Array.from({ length: AGENTS }, () => {
    let nowMs = 0;
    const reachability = new Reachability(random, () => nowMs);
    reachability.spreadMs = () => SPREAD_MS;
    reachability.connected();
    // The call that is in flight fails with the session.
    let turnMs = reachability.dropped();
    while (turnMs !== undefined && turnMs < upMs) {
      nowMs = Math.max(turnMs, heldMs);
      turnMs = reachability.failed(askedMs);
    }
    return turnMs ?? NaN;
  });
}

Deno.test("on paper no second has more than a tenth of a fleet, whatever was refused before, in 50 of 50 fleets", () => {
  for (const [what, blow] of Object.entries(BLOWS)) {
    const allowed = blow.heldMs ? MOST_AFTER_A_STANDSTILL : MOST;
    const waitMs = (blow.askedMs ?? 0) * 1.5 + SPREAD_MS * 1.5;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const moments = returns(seed, blow);
      const most = mostInASecond(moments);
      assert(most <= allowed, `${what}, seed ${seed}: ${most} within a second`);
      const seconds = secondsUntil(1, moments, blow.upMs);
      assert(seconds <= waitMs / 1_000, `${what}, seed ${seed}: the last after ${seconds} s`);
    }
  }
});
