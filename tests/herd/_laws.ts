import assert from "node:assert/strict";
import type { Moments } from "./_watch.ts";

const SECOND_MS = 1_000;
/** So many agents are enough for shares to be no accident. */
const MANY = 1_000;

/** The most moments within any second. */
export function mostInASecond(moments: Moments): number {
  const sorted = moments.toSorted((a, b) => a - b);
  let most = 0;
  let from = 0;
  for (const [to, moment] of sorted.entries()) {
    while (moment - (sorted[from] ?? moment) >= SECOND_MS) from++;
    most = Math.max(most, to - from + 1);
  }
  return most;
}

/** How many moments each second after `fromMs` has. */
export function bySecond(moments: Moments, fromMs: number, seconds: number): number[] {
  const counts = new Array<number>(seconds).fill(0);
  for (const moment of moments) {
    const second = Math.floor((moment - fromMs) / SECOND_MS);
    if (counts[second] !== undefined) counts[second]++;
  }
  return counts;
}

/**
 * What agents do at rest they do not do in step: no second has much more of it than others have, six
 * standard deviations of chance beside: it is the fullest of all seconds that is looked at.
 */
export function assertNotInStep(
  what: string,
  moments: Moments,
  { seconds, stallMs }: { seconds: number; stallMs: number },
): void {
  const mean = moments.length / seconds;
  const most = mostInASecond(moments);
  const allowed = (1.5 * mean + 6 * Math.sqrt(mean)) * (1 + stallMs / SECOND_MS);
  assert(most <= allowed, `${what}: ${most} within a second, ${mean} on average`);
}

/** The time after `fromMs` by which such a part of the moments had come, in seconds. */
export function secondsUntil(part: number, moments: Moments, fromMs: number): number {
  const sorted = moments.toSorted((a, b) => a - b);
  return ((sorted[Math.ceil(part * sorted.length) - 1] ?? NaN) - fromMs) / SECOND_MS;
}

/**
 * How many agents may do something in one second: a tenth. Of few agents chance may take more,
 * four standard deviations of it.
 */
export function allowedInASecond(agents: number): number {
  const tenth = agents / 10;
  return agents >= MANY ? tenth : tenth + 4 * Math.sqrt(tenth);
}

/**
 * No second may have more than a tenth of the agents. What comes to a process while it stands still
 * it sees in one second with what comes then.
 */
export function assertSpread(
  what: string,
  moments: Moments,
  { agents, stallMs }: { agents: number; stallMs: number },
): void {
  const most = mostInASecond(moments);
  const allowed = allowedInASecond(agents) * (1 + stallMs / SECOND_MS);
  assert(most <= allowed, `${what}: ${most} of ${agents} within a second, not ${allowed}`);
}
