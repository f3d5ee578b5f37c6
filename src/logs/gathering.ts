/** So many entries of a task are shown to operators (contract: Tasks over HTTP). */
export const SHOWN_ENTRIES = 100;
/** Up to here an entry ends where another stream takes its turn, which keeps their order. */
export const KEEP_ORDER_ENTRIES = 20;

/** So many entries go out at once: most commands print less. */
const IMMEDIATE_ENTRIES = 5;
const FIRST_MS = 50;
const STEADY_MS = 2_000;
const STEADY_FROM = 60;
/** From here on the rest of the budget is stretched, so that a build of ten minutes is seen to its end. */
const STRETCH_FROM = 85;
const STRETCH_FACTOR = 1.6;
const MAX_MS = 60_000;

/**
 * How long a line may wait for others to share its entry with, in milliseconds, when the task has
 * used `entries` entries. It grows from 50 ms to 2 s at the 60th; the last visible ones are
 * stretched up to a minute; what nobody will see waits 2 s.
 */
export function gatheringMs(entries: number): number {
  if (entries < IMMEDIATE_ENTRIES) return 0;
  if (entries < STEADY_FROM) {
    const share = (entries - IMMEDIATE_ENTRIES) / (STEADY_FROM - IMMEDIATE_ENTRIES);
    return FIRST_MS * (STEADY_MS / FIRST_MS) ** share;
  }
  if (entries < STRETCH_FROM || entries >= SHOWN_ENTRIES) return STEADY_MS;
  return Math.min(STEADY_MS * STRETCH_FACTOR ** (entries - STRETCH_FROM + 1), MAX_MS);
}
