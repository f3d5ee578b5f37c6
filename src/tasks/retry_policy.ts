import {
  isTransient,
  isUnauthorized,
  RefusedError,
  TimedOutError,
} from "../control_plane/errors.ts";
import type { Reachability } from "../control_plane/reachability.ts";
import { RetryPacer } from "../control_plane/retry_pacer.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";

const FIRST_PAUSE_MS = 250;
/** A call that got no answer in time is given more of it, up to so many times as much. */
const MAX_PATIENCE = 3;
/** How long an entry is tried that something before the control plane refuses, in milliseconds. */
const FIRST_REFUSAL_MS = 2 * 60_000;
/** The same for those after one that never got through: a filter does not change its mind. */
const NEXT_REFUSAL_MS = 10_000;

/** The calls about a task that are made until they are answered. */
export type ReportCall = "accepted" | "started" | "log" | "completed";

/** The agent stopped trying: it is leaving, or the task has ended on the control plane. */
export class GivenUpError extends Error {
  static {
    this.prototype.name = "GivenUpError";
  }
}

/** How a call about a task is made. */
export interface RetryOptions {
  /** Ends the tries. */
  giveUp: AbortSignal;
  /** The agent's log. */
  logger: Logger;
  /** Ends the pauses when others are answered. */
  reachability: Reachability;
  /** Has the last word on a refusal that would be tried again. */
  isFinal?: (refusal: RefusedError) => Promise<boolean>;
}

/**
 * Makes one call about a task until it is answered for good. Tried again are calls without an
 * answer, server faults, 429, conflicts with a queued state (the server has yet to notice its own
 * claim), and what need not be the control plane's own word: 408, redirects, and, where data would
 * be lost, 401 and 403 and all refusals that are not its own.
 *
 * `call` gets the factor by which its time limit is to be stretched: a server that handles a call
 * slower than the limit would otherwise be given the same one for ever.
 *
 * @throws {RefusedError} for every other refusal.
 * @throws {GivenUpError} once `giveUp` aborts; a call under way is seen to its end first, since
 * one that comes late can undo a later one (contract: Tasks over HTTP).
 */
export async function untilAnswered(
  what: ReportCall,
  call: (patience: number) => Promise<void>,
  { giveUp, logger, reachability, isFinal = () => Promise.resolve(false) }: RetryOptions,
): Promise<void> {
  const pacer = new RetryPacer({ reachability, firstMs: FIRST_PAUSE_MS });
  let patience = 1;
  for (let tries = 1;; tries++) {
    if (giveUp.aborted) throw new GivenUpError(`${what}: given up`);
    try {
      return await call(patience);
    } catch (error) {
      if (!mayPass(what, error)) throw error;
      if (error instanceof TimedOutError) patience = Math.min(patience + 1, MAX_PATIENCE);
      if (error instanceof RefusedError && !isTransient(error) && await isFinal(error)) throw error;
      const level = tries === 2 ? "warn" : "debug";
      logger[level]("report is tried again", { report: what, tries, error: messageOf(error) });
      await pacer.failed(error, giveUp).catch(() => {});
    }
  }
}

function mayPass(what: ReportCall, error: unknown): boolean {
  if (isTransient(error)) return true;
  if (!(error instanceof RefusedError)) return false;
  // A task that is not begun comes again; what it has printed and how it ended does not.
  const keeps = what === "log" || what === "completed";
  if (isUnauthorized(error)) return keeps;
  const { status, message, isOwn } = error;
  // What somebody on the way does not like may get through by another way.
  if (keeps && !isOwn) return true;
  return status < 400 || status === 408 || (status === 409 && /queued/i.test(message));
}

/**
 * Decides when a refused log entry is given up, so that one does not hold its task for good: a
 * filter on the way may refuse a line for what is in it.
 */
export class EntryPatience {
  readonly #isServed: () => Promise<boolean>;
  readonly #now: () => number;
  #sinceMs: number | undefined;
  #limitMs = FIRST_REFUSAL_MS;

  /**
   * `isServed` asks whether the control plane answers for this task otherwise: if not, the refusal
   * is not about the entry. `now` is a clock that only goes forward, in milliseconds.
   */
  constructor(isServed: () => Promise<boolean>, now: () => number = () => performance.now()) {
    this.#isServed = isServed;
    this.#now = now;
  }

  /** Whether a refusal that may pass, the last of one or several, is the last word on the entry. */
  async isFinal({ isOwn, status }: RefusedError): Promise<boolean> {
    this.#sinceMs ??= this.#now();
    // The control plane's own word is final, unless it is about the node and not the entry.
    const isLastWord = isOwn && status === 403;
    if (!isLastWord && this.#now() - this.#sinceMs < this.#limitMs) return false;
    return await this.#isServed();
  }

  /** The next entry begins; `refused` says whether the one before was given up. */
  next(refused: boolean): void {
    const waited = this.#sinceMs !== undefined;
    this.#sinceMs = undefined;
    if (refused && waited) this.#limitMs = NEXT_REFUSAL_MS;
    else if (waited) this.#limitMs = FIRST_REFUSAL_MS;
  }
}
