import { delay } from "@std/async";
import { pauseUntil } from "../system/deadline.ts";

/** Those that wait for the same answer do not all try at once; in milliseconds. */
const SPREAD_MS = 300;

/** What is left to chance of a turn that follows one in vain, in parts of the spread. */
const LATER_CHANCE = 0.5;
/** How long a turn is waited for at most, in parts of the spread. */
export const LONGEST_TURN: number = 1 + LATER_CHANCE;
/** What is left to chance, at least, beyond a time that an answer names, in parts of that. */
export const ASKED_CHANCE = 0.5;

/**
 * Whether the control plane answers, for the whole agent: as soon as one call is answered, all that
 * wait in a pause try again. So there is one draw for the whole agent, too, where a fleet must not
 * come back at one moment: what nobody waits for takes its {@linkcode Reachability.turn}. For a call
 * that is where the realtime session is down as well, for the session it is always: neither knows
 * whether it has lost alone.
 */
export class Reachability {
  /** From how long a time the turn is drawn, in milliseconds; it may change while the agent runs. */
  spreadMs: () => number = () => 0;
  readonly #random: () => number;
  readonly #now: () => number;
  readonly #waiting = new Set<() => void>();
  #isFailing = false;
  #isConnected = false;
  #turnMs = -Infinity;
  /** How many calls were answered. */
  answers = 0;

  /** `random` gives a number from 0 to 1; `now` is a clock that only goes forward, in milliseconds. */
  constructor(
    random: () => number = Math.random,
    now: () => number = () => performance.now(),
  ) {
    this.#random = random;
    this.#now = now;
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

  /**
   * Notes that a call was not answered, or only asked to leave the control plane alone for so long;
   * gives the turn to try it again, if nothing else answers.
   */
  failed(askedMs = 0): number | undefined {
    this.#isFailing = true;
    return this.isLost ? this.draw(askedMs) : undefined;
  }

  /** Notes that the realtime session is up, which is an answer. */
  connected(): void {
    this.#isConnected = true;
    this.answered();
  }

  /** Notes that the realtime session has ended; gives the turn to open it again. */
  dropped(): number | undefined {
    this.#isConnected = false;
    return this.draw();
  }

  /**
   * The moment of this agent's turn to try again, after a refusal that asks to be left alone for so
   * long, if it does: what is left to chance comes on top of that, since others were told the same. A
   * turn is drawn from all of the spread, and lies a whole one behind the turn before: so no moment is
   * the turn of more than its share of a fleet, whenever the control plane comes back and whatever it
   * has refused meanwhile. Before the first answer there is none: who has just started has lost nothing.
   */
  draw(askedMs = 0): number | undefined {
    if (this.answers === 0) return undefined;
    const soonestMs = this.#now() + askedMs;
    if (this.#turnMs <= soonestMs) {
      const spreadMs = this.spreadMs();
      const chance = this.#random();
      this.#turnMs = Math.max(
        soonestMs + chance * Math.max(spreadMs, ASKED_CHANCE * askedMs),
        this.#turnMs + spreadMs * (1 + LATER_CHANCE * chance),
      );
    }
    return this.#turnMs;
  }

  /**
   * Waits until a turn, while nothing answers: the one that a failure gave, whatever was drawn later;
   * without one, this agent's next. An abort ends the wait and is thrown.
   */
  async turn(signal: AbortSignal, turnMs: number = this.#turnMs): Promise<void> {
    while (this.isLost && turnMs > this.#now()) {
      await this.pause(this.untilMs(turnMs), 0, signal);
    }
  }

  /** The time until a turn, in milliseconds; 0 where it has come, or there is none. */
  untilMs(turnMs = -Infinity): number {
    return Math.max(0, Math.ceil(turnMs - this.#now()));
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
