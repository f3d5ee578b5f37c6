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
