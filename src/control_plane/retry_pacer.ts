import { pauseBoundMs } from "../system/backoff.ts";
import { isTransient, isUnauthorized, leaveAloneMs } from "./errors.ts";
import { ASKED_CHANCE, Pauses, type Reachability } from "./reachability.ts";

/** Where the credentials are refused the pauses grow to a minute. */
const UNAUTHORIZED = { firstMs: 1_000, maxMs: 60_000 };
const MAX_MS = 15_000;
/** A refusal is an answer: asking again at once cannot change it. */
const REFUSED_MS = 1_000;

/** What a {@linkcode RetryPacer} works with. */
export interface RetryPacerOptions {
  /** Ends the pauses when others are answered. */
  reachability: Reachability;
  /** The bound of the first pause, in milliseconds; a second by default. */
  firstMs?: number;
  /** Whether nobody waits for the call: then it takes its turn, see {@linkcode Reachability.turn}. */
  takesTurns?: boolean;
  /** A number from 0 to 1. */
  random?: () => number;
}

/**
 * Paces one call while it fails: full jitter up to 15 s where there is no answer; where there is one
 * that refuses, at least a second; up to a minute where the credentials are refused, whose pauses
 * grow apart from the others. A time that an answer names comes before all of these, and what is
 * left to chance grows with it: others were told the same moment. Where nothing answers, what nobody
 * waits for takes its turn instead, if that comes later. When another call is answered, a pause ends;
 * see {@linkcode Reachability}.
 */
export class RetryPacer {
  readonly #firstMs: number;
  readonly #random: () => number;
  readonly #reachability: Reachability;
  readonly #takesTurns: boolean;
  readonly #pauses: Pauses;
  /** How many tries have failed since the last success. */
  failures = 0;
  /** How many of the failures were refused credentials: only those lengthen the next such pause. */
  #unauthorized = 0;

  /** No failure yet. */
  constructor(options: RetryPacerOptions) {
    const { reachability, firstMs = 1_000, takesTurns = false, random = Math.random } = options;
    this.#firstMs = firstMs;
    this.#random = random;
    this.#reachability = reachability;
    this.#takesTurns = takesTurns;
    this.#pauses = new Pauses(reachability);
  }

  /** Notes a failure and waits before the next try; an abort ends the wait and is thrown. */
  async failed(error: unknown, signal: AbortSignal): Promise<void> {
    this.failures++;
    if (isUnauthorized(error)) this.#unauthorized++;
    const like = isUnauthorized(error) ? this.#unauthorized : this.failures - this.#unauthorized;
    const chance = this.#random();
    const askedMs = leaveAloneMs(error);
    const ownMs = (failures: number) => this.#pauseMs(error, failures, chance);
    const pauseMs = (failures: number) =>
      askedMs + Math.max(ownMs(failures), chance * ASKED_CHANCE * askedMs);
    const reachability = this.#reachability;
    const turnMs = this.#takesTurns && isTransient(error)
      ? reachability.failed(askedMs)
      : undefined;
    // Chance is in a turn already: what came on top of it would bring the late ones together.
    const waitMs = turnMs === undefined
      ? pauseMs(like)
      : Math.max(ownMs(like), reachability.untilMs(turnMs));
    await this.#pauses.wait(waitMs, (vain) => pauseMs(vain + 1), signal);
    // Without a turn the session may have ended meanwhile.
    if (this.#takesTurns) await reachability.turn(signal, turnMs);
  }

  /** Notes a success: the pauses begin anew. */
  succeeded(): void {
    this.failures = this.#unauthorized = 0;
  }

  #pauseMs(error: unknown, failures: number, chance: number): number {
    const earlier = failures - 1;
    if (isUnauthorized(error)) return pauseBoundMs(UNAUTHORIZED, earlier) * (0.75 + chance / 4);
    const jittered = chance * pauseBoundMs({ firstMs: this.#firstMs, maxMs: MAX_MS }, earlier);
    return isTransient(error) ? jittered : Math.max(REFUSED_MS, jittered);
  }
}
