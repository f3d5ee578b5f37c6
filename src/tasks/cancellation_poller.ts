import { leaveAloneMs } from "../control_plane/errors.ts";
import type { TaskControl } from "../control_plane/schemas.ts";
import { pauseUntil } from "../system/deadline.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";
import { causeOf, type EndCause } from "./task_end.ts";

/** Operators are impatient with what they have just started by mistake, in milliseconds. */
const FIRST_LOOK_MS = 250;
const LOOK_EVERY_MS = 2_000;

/**
 * Asks every 2 s whether a task is still wanted, and tells each time that it is not. A call that
 * fails is as good as none: the next one tells. `lookNow` resolves when the next look is not to be
 * waited for; `signal` ends the polling.
 */
export async function* pollCancellation(
  control: () => Promise<TaskControl>,
  lookNow: () => Promise<void>,
  signal: AbortSignal,
  logger: Logger,
): AsyncGenerator<EndCause, void> {
  let pauseMs = FIRST_LOOK_MS;
  while (!signal.aborted) {
    await pauseUntil(lookNow(), pauseMs, signal).catch(() => {});
    pauseMs = LOOK_EVERY_MS;
    if (signal.aborted) return;
    try {
      const cause = causeOf(await control());
      if (cause) yield cause;
    } catch (error) {
      if (signal.aborted) return;
      pauseMs += leaveAloneMs(error);
      logger.debug("task control cannot be read", { error: messageOf(error) });
    }
  }
}
