import type { Logger } from "../system/logger.ts";
import { LogThrottle } from "../system/log_throttle.ts";
import { messageOf } from "../system/user_error.ts";

/** How long the log may take when the agent ends, in milliseconds. */
const LAST_WORDS_MS = 1_000;

/**
 * A peer that is gone, or a terminal that nobody has open any more: whoever works with the other
 * end sees that too, and acts on it. A library reports it a second time, to nobody.
 */
const HARMLESS = ["ECONNRESET", "EPIPE", "EIO"];

/** What {@linkcode guardProcess} acts on. */
export interface GuardedProcess {
  /** Reports what nobody catches. */
  target?: EventTarget;
  /** Ends the process. */
  exit?: (code: number) => void;
}

/**
 * Until it is disposed, an error that nobody catches ends the process with its stack in the log: what
 * it left half done is unknown, and the next start takes every task up again. Only errors that are
 * known to be harmless are logged, each once a minute, and nothing else.
 */
export function guardProcess(
  logger: Logger,
  { target = globalThis, exit = Deno.exit }: GuardedProcess = {},
): Disposable {
  const throttle = new LogThrottle();
  const guard: EventListener = (event) => {
    event.preventDefault();
    const thrown = event instanceof PromiseRejectionEvent
      ? event.reason
      : event instanceof ErrorEvent
      ? event.error
      : event.type;
    const error = messageOf(thrown);
    if (isHarmless(thrown)) {
      if (throttle.allows(error)) logger.warn("unhandled connection error", { error });
      return;
    }
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    logger.error("uncaught error, the agent ends", { error, ...(stack ? { stack } : {}) });
    void logger.flush(LAST_WORDS_MS).finally(() => exit(1));
  };
  const types = ["error", "unhandledrejection"];
  for (const type of types) target.addEventListener(type, guard);
  return {
    [Symbol.dispose]: () => {
      for (const type of types) target.removeEventListener(type, guard);
    },
  };
}

function isHarmless(thrown: unknown): boolean {
  return thrown instanceof Deno.errors.ConnectionReset ||
    thrown instanceof Deno.errors.BrokenPipe ||
    (thrown instanceof Error && "code" in thrown && HARMLESS.includes(String(thrown.code)));
}
