import { delay } from "@std/async";

/**
 * How much later than due a timer may come, in milliseconds: one that is later shows that this
 * process, or the whole machine, stood still, and what it was to judge had no chance.
 */
export const STALL_MS = 1_000;
/** Sockets, pipes and the ends of children are looked at whenever the loop has nothing to do. */
const LOOKS = 5;
const LOOK_MS = 10;

/**
 * Waits until what has come by now has been taken in: after a standstill timers come before all that
 * came meanwhile, so whoever gives somebody up for a silence has to wait for this first. An abort
 * ends the wait.
 */
export async function taken(signal?: AbortSignal): Promise<void> {
  try {
    const options = signal ? { signal } : {};
    for (let looks = 0; looks < LOOKS; looks++) await delay(LOOK_MS, options);
  } catch {
    // Whoever aborts does not judge any more.
  }
}
