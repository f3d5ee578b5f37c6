import { setTimeout as delay } from "@std/async";
import { Backoff } from "../control_plane/backoff.ts";
import {
  isTransient,
  isUnauthorized,
  leaveAloneMs,
  RefusedError,
} from "../control_plane/errors.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";

const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 15_000;
/** Refused credentials are tried less often, as with a claim. */
const MAX_REFUSED_PAUSE_MS = 60_000;
/** A call that got no answer in time is given more of it, up to so many times as much. */
const MAX_PATIENCE = 3;

/** The agent stopped trying: it is leaving, or the task has ended on the control plane. */
export class GivenUpError extends Error {
  static {
    this.prototype.name = "GivenUpError";
  }
}

/**
 * Makes one call about a task until it is answered for good. Tried again are calls without an
 * answer, server faults, 429, conflicts with a queued state (the server has yet to notice its own
 * claim), and what need not be the control plane's own word: 408, redirects, and, where data would
 * be lost, 401 and 403.
 *
 * `isFinal` has the last word on a refusal that would be tried again.
 *
 * `call` gets the factor by which its time limit is to be stretched: a server that handles a call
 * slower than the limit would otherwise be given the same one for ever.
 *
 * @throws {RefusedError} for every other refusal.
 * @throws {GivenUpError} once `giveUp` aborts; a call under way is seen to its end first, since
 * one that comes late can undo a later one (contract: Tasks over HTTP).
 */
export async function report(
  what: "accepted" | "started" | "log" | "completed",
  call: (patience: number) => Promise<void>,
  giveUp: AbortSignal,
  logger: Logger,
  isFinal: (refusal: RefusedError) => Promise<boolean> = () => Promise.resolve(false),
): Promise<void> {
  const backoff = new Backoff({ firstMs: FIRST_PAUSE_MS, maxMs: MAX_PAUSE_MS });
  const refused = new Backoff({ firstMs: 1_000, maxMs: MAX_REFUSED_PAUSE_MS });
  for (let tries = 1;; tries++) {
    if (giveUp.aborted) throw new GivenUpError(`${what}: given up`);
    try {
      return await call(Math.min(tries, MAX_PATIENCE));
    } catch (error) {
      if (!mayPass(what, error)) throw error;
      if (error instanceof RefusedError && !isTransient(error) && await isFinal(error)) throw error;
      const level = tries === 2 ? "warn" : "debug";
      logger[level]("report is tried again", { report: what, tries, error: messageOf(error) });
      const pauseMs = leaveAloneMs(error) + (isUnauthorized(error) ? refused : backoff).next();
      await delay(pauseMs, undefined, { signal: giveUp }).catch(() => {});
    }
  }
}

function mayPass(what: string, error: unknown): boolean {
  if (isTransient(error)) return true;
  if (!(error instanceof RefusedError)) return false;
  // A task that is not begun comes again; what it has printed and how it ended does not.
  if (isUnauthorized(error)) return what === "log" || what === "completed";
  const { status, message, isOwn } = error;
  // An entry that somebody on the way does not like may get through by another way.
  if (what === "log" && !isOwn) return true;
  return status < 400 || status === 408 || (status === 409 && /queued/i.test(message));
}
