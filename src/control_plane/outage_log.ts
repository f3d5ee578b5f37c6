import type { Logger } from "../system/logger.ts";
import { LogThrottle } from "../system/log_throttle.ts";
import { messageOf } from "../system/user_error.ts";
import { isUnauthorized } from "./errors.ts";

const CREDENTIALS = "credentials";

/** What an {@linkcode OutageLog} works with. */
export interface OutageLogOptions {
  /** What is tried: "heartbeat", "claim". */
  what: string;
  /** The agent's log. */
  logger: Logger;
  /** Shared by loops that are to say only once that the credentials are refused. */
  throttle?: LogThrottle | undefined;
  /** A clock that only goes forward, in milliseconds. */
  now?: () => number;
}

/** Tells the log of a call that fails: at first, once a minute, and when it is over. */
export class OutageLog {
  readonly #options: Required<OutageLogOptions> & { throttle: LogThrottle };
  #failures = 0;
  #sinceMs = 0;

  /** No failure yet. */
  constructor({ now = () => performance.now(), ...options }: OutageLogOptions) {
    this.#options = { ...options, now, throttle: options.throttle ?? new LogThrottle(now) };
  }

  /** Notes a failure. */
  failed(error: unknown): void {
    const { what, logger, throttle, now } = this.#options;
    if (this.#failures++ === 0) this.#sinceMs = now();
    const fields = { call: what, failures: this.#failures, error: messageOf(error) };
    if (isUnauthorized(error)) {
      if (!throttle.allows(CREDENTIALS)) return;
      logger.error("control plane refuses this node's credentials", {
        ...fields,
        fix: "if the node was deleted: noderax-agent enroll --again, then restart the agent",
      });
    } else if (throttle.allows(what)) {
      logger.warn("control plane call failed", fields);
    }
  }

  /** Notes a success. */
  succeeded(): void {
    if (this.#failures === 0) return;
    const { what, logger, now, throttle } = this.#options;
    const seconds = Math.round((now() - this.#sinceMs) / 1_000);
    logger.info("control plane call succeeds again", {
      call: what,
      failures: this.#failures,
      seconds,
    });
    this.#failures = 0;
    throttle.forget(what);
  }
}
