/** Later rounds are shorter by up to so much of the interval. */
const JITTER = 0.1;

/**
 * How long the rounds of a loop are, as parts of its interval. The first is drawn from all of it:
 * agents that begin at one moment do not go on in step. Later ones are up to a tenth shorter: what a
 * standstill of the server has brought together drifts apart again.
 */
export class RoundJitter {
  readonly #random: () => number;
  #isFirst = true;

  /** `random` gives a number from 0 to 1. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** The part of the interval that the next round takes. */
  next(): number {
    const chance = this.#random();
    const part = this.#isFirst ? chance : 1 - JITTER * (1 - chance);
    this.#isFirst = false;
    return part;
  }

  /** The next round is a first one again, as after an outage that all agents had. */
  restart(): void {
    this.#isFirst = true;
  }
}
