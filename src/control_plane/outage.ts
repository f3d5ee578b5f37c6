import { setTimeout as delay } from "@std/async";
import type { Logger } from "../system/logger.ts";
import { LogThrottle } from "../system/log_throttle.ts";
import { messageOf } from "../system/user_error.ts";
import { isTransient, isUnauthorized, leaveAloneMs } from "./errors.ts";

const MINUTE_MS = 60_000;
const FIRST_MS = 1_000;
const MAX_MS = 15_000;
/** A refusal is an answer: asking again at once cannot change it. */
const REFUSED_MS = 1_000;
const CREDENTIALS = "credentials";

/** What an {@linkcode Outage} works with. */
export interface OutageOptions {
  /** What is tried, for the log: "heartbeat", "claim". */
  what: string;
  /** The agent's log. */
  logger: Logger;
  /** Shared by loops that are to say only once that the credentials are refused. */
  throttle?: LogThrottle | undefined;
  /** A number from 0 to 1. */
  random?: () => number;
  /** A clock that only goes forward, in milliseconds. */
  now?: () => number;
  /** Waits so many milliseconds; an abort ends the wait and is thrown. */
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Paces a loop of calls while they fail: full jitter up to 15 s where there is no answer; where
 * there is one that refuses, at least a second; up to a minute where the credentials are refused,
 * whose pauses grow apart from the others. A time that an answer names comes before all of these.
 * The log hears of it at first and once a minute.
 */
export class Outage {
  readonly #options: Required<OutageOptions> & { throttle: LogThrottle };
  #failures = 0;
  /** How many of the failures were refused credentials: only those lengthen the next such pause. */
  #unauthorized = 0;
  #sinceMs = 0;

  /** No failure yet. */
  constructor(options: OutageOptions) {
    const now = options.now ?? (() => performance.now());
    this.#options = {
      random: Math.random,
      now,
      wait: (ms, signal) => delay(ms, undefined, { signal }),
      ...options,
      throttle: options.throttle ?? new LogThrottle(now),
    };
  }

  /** Notes a failure and waits before the next try; an abort ends the wait and is thrown. */
  async failed(error: unknown, signal: AbortSignal): Promise<void> {
    const { now, wait } = this.#options;
    if (this.#failures++ === 0) this.#sinceMs = now();
    if (isUnauthorized(error)) this.#unauthorized++;
    const pauseMs = leaveAloneMs(error) + this.#pauseMs(error);
    this.#tell(error);
    await wait(pauseMs, signal);
  }

  /** Notes a success. */
  succeeded(): void {
    if (this.#failures === 0) return;
    const { what, logger, now, throttle } = this.#options;
    const seconds = Math.round((now() - this.#sinceMs) / 1_000);
    logger.info("control plane answers again", { call: what, failures: this.#failures, seconds });
    this.#failures = this.#unauthorized = 0;
    throttle.forget(what);
  }

  #pauseMs(error: unknown): number {
    const { random } = this.#options;
    if (isUnauthorized(error)) {
      return Math.min(grown(this.#unauthorized), MINUTE_MS) * (0.75 + random() / 4);
    }
    const jittered = random() * Math.min(grown(this.#failures - this.#unauthorized), MAX_MS);
    return isTransient(error) ? jittered : Math.max(REFUSED_MS, jittered);
  }

  #tell(error: unknown): void {
    const { what, logger, throttle } = this.#options;
    const fields = { call: what, failures: this.#failures, error: messageOf(error) };
    if (isUnauthorized(error)) {
      if (!throttle.allows(CREDENTIALS)) return;
      logger.error("control plane does not accept this node", {
        ...fields,
        mend: "if the node was deleted: noderax-agent enroll --again, then restart the agent",
      });
    } else if (throttle.allows(what)) {
      logger.warn("control plane cannot be used", fields);
    }
  }
}

/** The bound of the pause after so many failures. */
function grown(failures: number): number {
  return FIRST_MS * 2 ** Math.min(failures - 1, 20);
}
