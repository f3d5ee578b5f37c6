/** What the agent does when it is signalled. */
export interface SignalHandlers {
  /** The first SIGTERM or SIGINT: leave in good order. */
  onStop(signal: string): void;
  /** A second one: leave at once. */
  onStopNow(): void;
  /** SIGHUP: read the configuration again. */
  onReload(): void;
}

/** Listens to the process's signals until it is disposed. */
export function listenToSignals(handlers: SignalHandlers): Disposable {
  let stopping = false;
  const stop = (signal: string) => () => {
    if (stopping) return handlers.onStopNow();
    stopping = true;
    handlers.onStop(signal);
  };
  const listeners = [
    ["SIGTERM", stop("SIGTERM")],
    ["SIGINT", stop("SIGINT")],
    ["SIGHUP", () => handlers.onReload()],
  ] as const;
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  return {
    [Symbol.dispose]: () => {
      for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
    },
  };
}

/**
 * Does what comes before there are services to be stopped. SIGTERM and SIGINT abort its signal;
 * gives undefined then.
 */
export async function untilStopped<T>(
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const stop = new AbortController();
  using _signals = listenToSignals({
    onStop: () => stop.abort(),
    onStopNow: () => Deno.exit(1),
    onReload: () => {},
  });
  try {
    const result = await work(stop.signal);
    return stop.signal.aborted ? undefined : result;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    return undefined;
  }
}
