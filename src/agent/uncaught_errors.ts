import type { Logger } from "../system/logger.ts";
import { LogThrottle } from "../system/log_throttle.ts";
import { messageOf } from "../system/user_error.ts";

/**
 * Until it is disposed, what nobody catches is logged in place of ending the process: a library's
 * listener that throws at what a peer sent must not end tasks and terminals. Each message is logged
 * once a minute.
 */
export function guardProcess(logger: Logger, target: EventTarget = globalThis): Disposable {
  const throttle = new LogThrottle();
  const guard: EventListener = (event) => {
    event.preventDefault();
    const thrown = event instanceof PromiseRejectionEvent
      ? event.reason
      : event instanceof ErrorEvent
      ? event.error
      : event.type;
    const error = messageOf(thrown);
    if (throttle.allows(error)) logger.error("unexpected error, the agent goes on", { error });
  };
  const types = ["error", "unhandledrejection"];
  for (const type of types) target.addEventListener(type, guard);
  return {
    [Symbol.dispose]: () => {
      for (const type of types) target.removeEventListener(type, guard);
    },
  };
}
