import { setTimeout as delay } from "@std/async";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";
import { isTransient, isUnauthorized } from "./errors.ts";

const MINUTE_MS = 60_000;
const FIRST_MS = 500;
const MAX_MS = 15_000;
/** A refusal is an answer: asking again at once cannot change it. */
const REFUSED_MS = 1_000;

/** What an {@linkcode Outage} works with. */
export interface OutageOptions {
  /** What is tried, for the log: "heartbeat", "claim". */
  what: string;
  /** The agent's log. */
  logger: Logger;
  /** A number from 0 to 1. */
  random?: () => number;
  /** A clock that only goes forward, in milliseconds. */
  now?: () => number;
}

/**
 * Paces a loop of calls while they fail: full jitter up to 15 s where there is no answer; where
 * there is one that refuses, at least a second; up to a minute where the credentials are refused.
 * The log hears of it at first and once a minute.
 */
export class Outage {
  readonly #options: Required<OutageOptions>;
  #failures = 0;
  #sinceMs = 0;
  #toldMs = -Infinity;

  /** No failure yet. */
  constructor(options: OutageOptions) {
    this.#options = { random: Math.random, now: () => performance.now(), ...options };
  }

  /** Notes a failure and waits before the next try; an abort ends the wait and is thrown. */
  async failed(error: unknown, signal: AbortSignal): Promise<void> {
    const { now } = this.#options;
    if (this.#failures++ === 0) this.#sinceMs = now();
    const pauseMs = this.#pauseMs(error);
    this.#tell(error);
    await delay(pauseMs, undefined, { signal });
  }

  /** Notes a success. */
  succeeded(): void {
    if (this.#failures === 0) return;
    const { what, logger, now } = this.#options;
    const seconds = Math.round((now() - this.#sinceMs) / 1_000);
    logger.info("control plane answers again", { call: what, failures: this.#failures, seconds });
    this.#failures = 0;
    this.#toldMs = -Infinity;
  }

  #pauseMs(error: unknown): number {
    const { random } = this.#options;
    const grown = FIRST_MS * 2 ** Math.min(this.#failures, 20);
    if (isUnauthorized(error)) return Math.min(grown, MINUTE_MS) * (0.75 + random() / 4);
    const jittered = random() * Math.min(grown, MAX_MS);
    return isTransient(error) ? jittered : Math.max(REFUSED_MS, jittered);
  }

  #tell(error: unknown): void {
    const { what, logger, now } = this.#options;
    if (now() - this.#toldMs < MINUTE_MS) return;
    this.#toldMs = now();
    const fields = { call: what, failures: this.#failures, error: messageOf(error) };
    if (isUnauthorized(error)) {
      logger.error("control plane does not accept this node", {
        ...fields,
        mend: "was the node deleted or its token replaced? enroll it again, or wait",
      });
    } else {
      logger.warn("control plane cannot be used", fields);
    }
  }
}
