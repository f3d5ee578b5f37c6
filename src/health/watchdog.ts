import type { Logger } from "../system/logger.ts";
import type { ReadEnv } from "../config/mod.ts";
import { taken } from "../system/stall.ts";

/** What a {@linkcode Watchdog} works with. */
export interface WatchdogOptions {
  /** Time between two looks, in milliseconds. */
  intervalMs: number;
  /** Says why the agent is not alive; undefined while it is. */
  notAlive: () => string | undefined;
  /** Tells the service manager that the agent is alive. */
  feed: () => void;
  /** The agent's log. */
  logger: Logger;
}

/**
 * Feeds the service manager's watchdog for as long as the agent is alive. Unfed, it kills the agent
 * and starts it anew. An event loop that stands still feeds nothing either.
 */
export class Watchdog implements Disposable {
  readonly #options: WatchdogOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #stopped = new AbortController();
  #told = false;

  /** Looks at once, and then in every interval. */
  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.look();
    this.#timer = setInterval(() => void this.#judge(), options.intervalMs);
  }

  /** Looks how the agent is. */
  look(): void {
    const { notAlive, feed, logger } = this.#options;
    const why = notAlive();
    if (why === undefined) feed();
    else if (!this.#told) logger.error("watchdog is no longer notified", { why });
    this.#told = why !== undefined;
  }

  /** An answer may have come while the agent stood still, and not be read. */
  async #judge(): Promise<void> {
    if (this.#options.notAlive() !== undefined) await taken(this.#stopped.signal);
    if (!this.#stopped.signal.aborted) this.look();
  }

  /** Looks no more. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#stopped.abort();
  }
}

/**
 * A third of the time within which the service manager wants to be told that this process is alive,
 * in milliseconds; undefined if it does not, or means another process.
 */
export function watchdogIntervalMs(env: ReadEnv, pid: number = Deno.pid): number | undefined {
  const limitMs = Number(env("WATCHDOG_USEC")) / 1_000;
  const named = env("WATCHDOG_PID");
  if (!(limitMs > 0) || (named && Number(named) !== pid)) return undefined;
  return limitMs / 3;
}
