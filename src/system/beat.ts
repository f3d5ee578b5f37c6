/**
 * How long to pause until the next beat of what happens in every interval, in milliseconds: half an
 * interval at least. Those of one interval, or of a multiple, wake the process together.
 */
export function msToBeat(intervalMs: number, nowMs: number = performance.now()): number {
  const restMs = intervalMs - nowMs % intervalMs;
  return restMs < intervalMs / 2 ? restMs + intervalMs : restMs;
}
