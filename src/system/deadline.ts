import { abortable, deadline } from "@std/async";
import { judgeAfter } from "./stall.ts";

/**
 * Gives what `work` gives within `limitMs` milliseconds; it goes on in any case. What has come by then
 * is in time, however late this process gets to see it: see {@linkcode judgeAfter}.
 *
 * @throws {DOMException} with the name `TimeoutError` at the limit; what `work` throws within it; the
 * signal's reason when that aborts first.
 */
export async function within<T>(
  work: Promise<T>,
  limitMs: number,
  signal?: AbortSignal,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const cancel = judgeAfter(
    limitMs,
    () => reject(new DOMException(`not done within ${limitMs} ms`, "TimeoutError")),
  );
  try {
    return await Promise.race([signal ? abortable(work, signal) : work, late]);
  } finally {
    cancel();
  }
}

/** Whether `work` is done {@linkcode within} its limit; throws all else that that throws. */
export async function settlesWithin(
  work: Promise<unknown>,
  limitMs: number,
  signal?: AbortSignal,
): Promise<boolean> {
  return await isInTime(within(work, limitMs, signal));
}

/**
 * A pause of so many milliseconds that `woken` cuts short: whether it did. Nobody is judged by it, so
 * it is over at once.
 */
export async function pauseUntil(
  woken: Promise<unknown>,
  ms: number,
  signal?: AbortSignal,
): Promise<boolean> {
  return await isInTime(deadline(woken, ms, signal ? { signal } : {}));
}

async function isInTime(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (isTimeout(error)) return false;
    throw error;
  }
}

/** Whether {@linkcode within} or a `TimeLimit` has thrown this. */
export function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}
