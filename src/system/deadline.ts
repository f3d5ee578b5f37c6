import { setTimeout as delay } from "@std/async";

/** Whether `work` is done within `limitMs` milliseconds; it goes on in any case. */
export async function settlesWithin(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  const timer = new AbortController();
  const limit = delay(limitMs, false, { signal: timer.signal }).catch(() => false);
  const settled = await Promise.race([work.then(() => true), limit]);
  timer.abort();
  return settled;
}
