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
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  const look = async () => {
    // A folder that cannot be looked at just now may be again.
    const problem = await lock.look().catch((error) => {
      logger.warn("state folder cannot be looked at", { error: messageOf(error) });
      return undefined;
    });
    if (isOver) return;
    if (problem !== undefined) onLost(problem);
    else timer = setTimeout(look, intervalMs);
  };
  timer = setTimeout(look, intervalMs);
  return {
    [Symbol.dispose]: () => {
      isOver = true;
      clearTimeout(timer);
    },
  };
}
