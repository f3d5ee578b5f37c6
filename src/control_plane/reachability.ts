import { delay } from "@std/async";
import { pauseUntil } from "../system/deadline.ts";

/** Those that wait for the same answer do not all try at once; in milliseconds. */
const SPREAD_MS = 300;

/**
 * Whether the control plane answers, for the whole agent: as soon as one call is answered, all that
 * wait in a pause try again. So there is one draw for the whole agent, too, where a fleet must not
 * come back at one moment: what nobody waits for takes its {@linkcode Reachability.turn}.
 */
export class Reachability {
  /** From how long a time the turn is drawn, in milliseconds; it may change while the agent runs. */
  spreadMs: () => number = () => 0;
  /** Whether the realtime session is up: a call that fails all the same fails alone. */
  isConnected = false;
  readonly #random: () => number;
  readonly #waiting = new Set<() => void>();
  #isLost = false;
  #turnMs = -Infinity;
  /** How many calls were answered. */
  answers = 0;

  /** `random` gives a number from 0 to 1. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Notes that a call was answered, whichever it was. */
  answered(): void {
    this.answers++;
    this.#isLost = false;
    for (const wake of this.#waiting) wake();
  }

  /**
   * Notes that nothing answers any more, which may have happened to the whole fleet at this moment;
   * gives the time until this agent's turn to try again, in milliseconds. The first turn is drawn
   * from all of the spread, and each later one lies as far behind on average: whenever the control
   * plane comes back, a fleet comes at an even pace.
   */
  lost(): number {
    const now = performance.now();
    this.#isLost = true;
    if (this.#turnMs <= now) {
      const spreadMs = this.spreadMs();
      const isFirst = now - this.#turnMs > spreadMs;
      this.#turnMs = now + spreadMs * (this.#random() + (isFirst ? 0 : 0.5));
    }
    return this.#turnMs - now;
  }

  /** Waits until this agent's turn, if nothing answers; an abort ends the wait and is thrown. */
  async turn(signal: AbortSignal): Promise<void> {
    while (this.#isLost && this.#turnMs > performance.now()) {
      await this.pause(this.#turnMs - performance.now(), 0, signal);
    }
  }

  /**
   * Waits so many milliseconds, or until a call is answered, but `soonestMs` at least; an abort ends
   * the wait and is thrown.
   */
  async pause(ms: number, soonestMs: number, signal: AbortSignal): Promise<void> {
    const { promise: woken, resolve: wake } = Promise.withResolvers<void>();
    const startMs = performance.now();
    this.#waiting.add(wake);
    try {
      if (!await pauseUntil(woken, ms, signal)) return;
    } finally {
      this.#waiting.delete(wake);
    }
    const passedMs = performance.now() - startMs;
    const inMs = Math.max(soonestMs - passedMs, this.#random() * SPREAD_MS);
    await delay(Math.min(inMs, ms - passedMs), { signal });
  }
}

/** The pauses of one caller between its tries. */
export class Pauses {
  readonly #reachability: Reachability;
  #answers: number;
  /** How many tries in a row have failed although others were answered. */
  #vain = 0;

  /** Nothing has failed yet. */
  constructor(reachability: Reachability) {
    this.#reachability = reachability;
    this.#answers = reachability.answers;
  }

  /**
   * Waits after a failure: `ms`, or until others are answered. When they were while this try failed,
   * the fault may lie in this call alone: `soonestMs` tells from the number of such tries how long it
   * has to wait at least.
   */
  async wait(
    ms: number,
    soonestMs: (vain: number) => number,
    signal: AbortSignal,
  ): Promise<void> {
    const { answers } = this.#reachability;
    const isAlone = answers !== this.#answers;
    this.#answers = answers;
    this.#vain = isAlone ? this.#vain + 1 : 0;
    const leastMs = Math.min(ms, soonestMs(this.#vain));
    await this.#reachability.pause(isAlone ? leastMs : ms, leastMs, signal);
  }
}
