import { delay } from "@std/async";
import { pauseUntil } from "../system/deadline.ts";

/** Those that wait for the same answer do not all try at once; in milliseconds. */
const SPREAD_MS = 300;

/** A later turn lies so far behind the one before, at least, in parts of the spread. */
const BEHIND = 0.5;
/** How long a turn is waited for at most, in parts of the spread. */
export const LONGEST_TURN: number = 1 + BEHIND;
/** A moment that has come already. */
const AT_ONCE = -Infinity;

/**
 * Whether the control plane answers, for the whole agent: as soon as one call is answered, all that
 * wait in a pause try again. So there is one draw for the whole agent, too, where a fleet must not
 * come back at one moment: what nobody waits for takes its {@linkcode Reachability.turn}. That is
 * where calls fail and the realtime session is down. One of both alone is this agent's own trouble.
 */
export class Reachability {
  /** From how long a time the turn is drawn, in milliseconds; it may change while the agent runs. */
  spreadMs: () => number = () => 0;
  readonly #random: () => number;
  readonly #waiting = new Set<() => void>();
  #isFailing = false;
  #isConnected = false;
  #turnMs = AT_ONCE;
  /** How many calls were answered. */
  answers = 0;

  /** `random` gives a number from 0 to 1. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Whether nothing answers any more, which may have happened to the whole fleet at one moment. */
  get isLost(): boolean {
    return this.#isFailing && !this.#isConnected;
  }

  /** Notes that a call was answered, whichever it was. */
  answered(): void {
    this.answers++;
    this.#isFailing = false;
    for (const wake of this.#waiting) wake();
  }

  /** Notes that a call was not answered; gives the turn to try it again, if nothing else answers. */
  failed(): number | undefined {
    this.#isFailing = true;
    return this.isLost ? this.draw() : undefined;
  }

  /** Notes that the realtime session is up, which is an answer. */
  connected(): void {
    this.#isConnected = true;
    this.answered();
  }

  /** Notes that the realtime session has ended; gives the turn to open it again, if calls fail, too. */
  dropped(): number | undefined {
    this.#isConnected = false;
    return this.isLost ? this.draw() : undefined;
  }

  /**
   * The moment of this agent's turn to try again. The first turn is drawn from all of the spread, and
   * each later one lies as far behind on average: whenever the control plane comes back, a fleet comes
   * at an even pace. Before the first answer there is none to be waited for: who has just started has
   * lost nothing.
   */
  draw(): number {
    const now = performance.now();
    if (this.answers > 0 && this.#turnMs <= now) {
      const spreadMs = this.spreadMs();
      const isFirst = now - this.#turnMs > spreadMs;
      this.#turnMs = now + spreadMs * (this.#random() + (isFirst ? 0 : BEHIND));
    }
    return this.#turnMs;
  }

  /**
   * Waits until a turn, while nothing answers: the one that a failure gave, whatever was drawn later;
   * without one, this agent's next. An abort ends the wait and is thrown.
   */
  async turn(signal: AbortSignal, turnMs: number = this.#turnMs): Promise<void> {
    while (this.isLost && turnMs > performance.now()) {
      await this.pause(turnMs - performance.now(), 0, signal);
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
