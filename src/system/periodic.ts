/**
 * How long to pause until the next beat of what happens in every interval, in milliseconds: half an
 * interval at least. Those of one interval, or of a multiple, wake the process together.
 */
export function msToBeat(intervalMs: number, nowMs: number = performance.now()): number {
  const restMs = intervalMs - nowMs % intervalMs;
  return restMs < intervalMs / 2 ? restMs + intervalMs : restMs;
}

/**
 * Does the work again and again until it gives false or what is returned is disposed of, which also
 * aborts its signal.
 */
export function repeat(work: (signal: AbortSignal) => Promise<boolean>): Disposable {
  const stop = new AbortController();
  const run = async () => {
    while (!stop.signal.aborted && await work(stop.signal));
  };
  run().catch((error) => {
    if (!stop.signal.aborted) throw error;
  });
  return { [Symbol.dispose]: () => stop.abort() };
}
