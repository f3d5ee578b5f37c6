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
