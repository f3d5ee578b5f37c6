import { Backoff } from "../control_plane/backoff.ts";
import { isTransient, RefusedError } from "../control_plane/errors.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";

const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 15_000;

/** The agent stopped trying: it is leaving, or the task has ended on the control plane. */
export class GivenUpError extends Error {
  static {
    this.prototype.name = "GivenUpError";
  }
}

/**
 * Makes one call about a task until it is answered for good. Tried again are calls without an
 * answer, server faults, 429, and conflicts with a queued state: the server has yet to notice
 * its own claim.
 *
 * @throws {RefusedError} for every other refusal.
 * @throws {GivenUpError} once `giveUp` aborts; a call under way is seen to its end first, since
 * one that comes late can undo a later one (contract: Tasks over HTTP).
 */
export async function report(
  what: string,
  call: () => Promise<void>,
  giveUp: AbortSignal,
  logger: Logger,
): Promise<void> {
  const backoff = new Backoff({ firstMs: FIRST_PAUSE_MS, maxMs: MAX_PAUSE_MS });
  for (let tries = 1;; tries++) {
    if (giveUp.aborted) throw new GivenUpError(`${what}: given up`);
    try {
      return await call();
    } catch (error) {
      if (!isTransient(error) && !isQueuedConflict(error)) throw error;
      const level = tries === 2 ? "warn" : "debug";
      logger[level]("report is tried again", { report: what, tries, error: messageOf(error) });
      await backoff.wait(giveUp).catch(() => {});
    }
  }
}

function isQueuedConflict(error: unknown): boolean {
  return error instanceof RefusedError && error.status === 409 && /queued/i.test(error.message);
}
