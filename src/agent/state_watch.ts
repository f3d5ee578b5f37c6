import { delay } from "@std/async";
import { repeat } from "../system/repeat.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";
import type { StateLock } from "./instance_lock.ts";

/** How often it is looked, in milliseconds. */
const LOOK_MS = 5_000;

/**
 * Looks every few seconds whether the state folder is still this agent's; `onLost` hears once in a
 * sentence that it is not. Disposed of, it looks no more.
 */
export function watchState(
  lock: StateLock,
  onLost: (problem: string) => void,
  logger: Logger,
  intervalMs = LOOK_MS,
): Disposable {
  return repeat(async (signal) => {
    await delay(intervalMs, { signal });
    // A folder that cannot be looked at just now may be again.
    const problem = await lock.look().catch((error) => {
      logger.warn("state folder cannot be checked", { error: messageOf(error) });
      return undefined;
    });
    if (problem === undefined || signal.aborted) return true;
    onLost(problem);
    return false;
  });
}
