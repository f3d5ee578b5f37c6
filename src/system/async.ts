/**
 * What the agent uses of JSR's `@std/async`, with the signatures and the behaviour that are
 * documented there. deno.json gives it that name: with JSR at hand, that line alone changes.
 *
 * @module
 */

/** A timer takes no longer time than this, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Options of {@linkcode delay}. */
export interface DelayOptions {
  /** Ends the pause; its reason is thrown. */
  signal?: AbortSignal;
  /** Whether the pause alone keeps the process running; true by default. */
  persistent?: boolean;
}

/** Resolves after so many milliseconds; rejects with the signal's reason when that aborts before. */
export function delay(ms: number, options: DelayOptions = {}): Promise<void> {
  const { signal, persistent = true } = options;
  if (signal?.aborted) return Promise.reject(signal.reason);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const endMs = performance.now() + ms;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const start = (leftMs: number) => {
    const next = leftMs > MAX_TIMER_MS ? () => start(endMs - performance.now()) : end;
    timer = setTimeout(next, Math.max(0, Math.min(leftMs, MAX_TIMER_MS)));
    if (!persistent) Deno.unrefTimer(timer);
  };
  const end = () => {
    signal?.removeEventListener("abort", abort);
    resolve();
  };
  const abort = () => {
    clearTimeout(timer);
    reject(signal?.reason);
  };
  signal?.addEventListener("abort", abort, { once: true });
  start(ms);
  return promise;
}

/** Gives what the promise gives; rejects with the signal's reason when that aborts before. */
export function abortable<T>(p: Promise<T>, signal: AbortSignal): Promise<T>;
/** Gives what the iterable gives; throws the signal's reason when that aborts before its end. */
export function abortable<T>(p: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T>;
export function abortable<T>(
  p: Promise<T> | AsyncIterable<T>,
  signal: AbortSignal,
): Promise<T> | AsyncGenerator<T> {
  return p instanceof Promise ? untilAborted(p, signal) : itemsUntilAborted(p, signal);
}

async function untilAborted<T>(p: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([aborted, p]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function* itemsUntilAborted<T>(p: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  signal.throwIfAborted();
  const iterator = p[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await untilAborted(iterator.next(), signal);
      if (done) return;
      yield value;
    }
  } finally {
    // Not waited for: an iterator that is busy returns no sooner than it gives its next item.
    iterator.return?.().catch(() => {});
  }
}

/** Options of {@linkcode deadline}. */
export interface DeadlineOptions {
  /** Ends the wait before its time; its reason is thrown. */
  signal?: AbortSignal;
}

/**
 * Gives what the promise gives within so many milliseconds; it goes on in any case.
 *
 * @throws {DOMException} with the name `TimeoutError` at the limit; the signal's reason when that
 * aborts before.
 */
export async function deadline<T>(
  p: Promise<T>,
  ms: number,
  options: DeadlineOptions = {},
): Promise<T> {
  const { signal } = options;
  const over = new AbortController();
  const late = delay(ms, { signal: over.signal }).then((): never => {
    throw new DOMException(`not done within ${ms} ms`, "TimeoutError");
  });
  try {
    return await Promise.race([signal ? untilAborted(p, signal) : p, late]);
  } finally {
    over.abort();
  }
}

/** Options of {@linkcode retry}. */
export interface RetryOptions {
  /** By how much the pause grows with each attempt; 2 by default. */
  multiplier?: number;
  /** The longest pause, in milliseconds; 60 000 by default. */
  maxTimeout?: number;
  /** How many attempts there are; 5 by default. */
  maxAttempts?: number;
  /** The first pause, in milliseconds; 1000 by default. */
  minTimeout?: number;
  /** Which part of each pause is random, from 0 to 1; 1 by default. */
  jitter?: number;
  /** Whether there is to be another attempt after this error; always by default. */
  isRetriable?: (err: unknown) => boolean;
}

/** The last attempt has failed too; `cause` is its error. */
export class RetryError extends Error {
  /** `attempts` is how many there were. */
  constructor(cause: unknown, attempts: number) {
    super(`none of ${attempts} attempts succeeded`, { cause });
    this.name = "RetryError";
  }
}

/**
 * Calls the function until it throws nothing, with growing pauses in between.
 *
 * @throws {RetryError} after the last attempt; an error that is not retriable at once.
 * @throws {RangeError} when an option makes no sense.
 */
export async function retry<T>(
  fn: (() => Promise<T>) | (() => T),
  options?: RetryOptions,
): Promise<T> {
  const { multiplier = 2, maxTimeout = 60_000, maxAttempts = 5 } = options ?? {};
  const { minTimeout = 1_000, jitter = 1, isRetriable = () => true } = options ?? {};
  require(Number.isInteger(maxAttempts) && maxAttempts >= 1, { maxAttempts });
  require(Number.isFinite(multiplier) && multiplier >= 1, { multiplier });
  require(maxTimeout > 0, { maxTimeout });
  require(minTimeout >= 0 && minTimeout <= maxTimeout, { minTimeout });
  require(jitter >= 0 && jitter <= 1, { jitter });
  for (let attempt = 1;; attempt++) {
    try {
      return await fn();
    } catch (error) {
      if (!isRetriable(error)) throw error;
      if (attempt === maxAttempts) throw new RetryError(error, attempt);
    }
    const pauseMs = Math.min(maxTimeout, minTimeout * multiplier ** (attempt - 1));
    await delay(pauseMs * (1 - jitter * Math.random()));
  }
}

function require(isSound: boolean, option: Record<string, number>): void {
  if (!isSound) throw new RangeError(`retry cannot work with ${JSON.stringify(option)}`);
}
