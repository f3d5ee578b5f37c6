import { delay } from "@std/async";

/**
 * How much later than due a timer may come, in milliseconds: one that is later shows that this
 * process, or the whole machine, stood still, and what it was to judge had no chance.
 */
export const STALL_MS = 1_000;
/** Sockets, pipes and the ends of children are looked at whenever the loop has nothing to do. */
const LOOKS = 5;
const LOOK_MS = 10;
/** The longest that a timer can wait, in milliseconds: more than three weeks. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Waits until what has come by now has been taken in: after a standstill timers come before all that
 * came meanwhile, so whoever gives somebody up for a silence has to wait for this first. An abort
 * ends the wait.
 */
export async function taken(signal?: AbortSignal): Promise<void> {
  try {
    const options = signal ? { signal } : {};
    for (let looks = 0; looks < LOOKS; looks++) await delay(LOOK_MS, options);
  } catch {
    // Whoever aborts does not judge any more.
  }
}

/**
 * Judges after so many milliseconds, unless the function that it gives is called before: also by
 * something that has come by then, for {@linkcode taken} comes first.
 */
export function judgeAfter(limitMs: number, judge: () => void): () => void {
  // Made when it is needed, which is hardly ever: an abort costs more than all the rest.
  let looking: AbortController | undefined;
  const timer = setTimeout(async () => {
    looking = new AbortController();
    const { signal } = looking;
    await taken(signal);
    if (!signal.aborted) judge();
  }, Math.min(limitMs, MAX_TIMER_MS));
  return () => {
    clearTimeout(timer);
    looking?.abort();
  };
}

/** A signal that aborts by {@linkcode judgeAfter}; to be disposed of when what it limits is over. */
export class TimeLimit implements Disposable {
  readonly #controller = new AbortController();
  readonly #cancel: () => void;

  /** Begins now. */
  constructor(limitMs: number) {
    this.#cancel = judgeAfter(limitMs, () => {
      this.#controller.abort(new DOMException(`not done within ${limitMs} ms`, "TimeoutError"));
    });
  }

  /** Aborts when the time is over. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** It is over in time. */
  [Symbol.dispose](): void {
    this.#cancel();
  }
}
