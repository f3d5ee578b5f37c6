import { deadline } from "@std/async";

/**
 * Whether `work` is done within `limitMs` milliseconds; it goes on in any case.
 *
 * @throws what `work` throws within them; the signal's reason when that aborts first.
 */
export async function settlesWithin(
  work: Promise<unknown>,
  limitMs: number,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    await deadline(work, limitMs, signal ? { signal } : {});
    return true;
  } catch (error) {
    if (isTimeout(error)) return false;
    throw error;
  }
}

/** Whether a `deadline` or `AbortSignal.timeout` has thrown this. */
export function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}
