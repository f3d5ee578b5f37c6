import { retry, RetryError } from "@std/async";

/** Somebody else has a lock. */
export class HeldError extends Error {}

/**
 * Takes a lock, every `pauseMs` anew while `take` throws a {@linkcode HeldError}.
 *
 * @throws that error after `limitMs`, and whatever else `take` throws at once.
 */
export async function whileHeld<T>(
  take: () => Promise<T>,
  pauseMs: number,
  limitMs: number,
): Promise<T> {
  try {
    return await retry(take, {
      minTimeout: pauseMs,
      multiplier: 1,
      jitter: 0,
      maxAttempts: Math.floor(limitMs / pauseMs) + 1,
      isRetriable: (error) => error instanceof HeldError,
    });
  } catch (error) {
    throw error instanceof RetryError ? error.cause : error;
  }
}
