/** So many entries of a task are shown to operators (contract: Tasks over HTTP). */
export const SHOWN_ENTRIES = 100;
/** So many entries are one line each: operators see a row for an entry, without its line breaks. */
export const ROWS = 60;

const FIRST_MS = 2_000;
const GROWTH = 1.3;
const MAX_MS = 60_000;

/**
 * How long a line may wait for others to share its entry with, in milliseconds, when the task has
 * used `entries` entries. The rows do not wait; the entries that are left of those that operators
 * see are stretched, from 2 s up to a minute, over the half hour that a task may take; what nobody
 * will see waits 2 s.
 */
export function batchWaitMs(entries: number): number {
  if (entries < ROWS) return 0;
  if (entries >= SHOWN_ENTRIES) return FIRST_MS;
  return Math.min(FIRST_MS * GROWTH ** (entries - ROWS), MAX_MS);
}
