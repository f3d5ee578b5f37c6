import { Backoff } from "../system/backoff.ts";

/** So many sessions that are ended from the other side within {@linkcode WITHIN_MS} are no accident. */
const MANY = 4;
const WITHIN_MS = 60_000;
/** Two agents that take one session from each other each keep it for minutes from then on. */
const FIRST_PAUSE_MS = 60_000;
const MAX_PAUSE_MS = 5 * 60_000;
/** So long a session can only be had alone. */
const ALONE_MS = 2 * MAX_PAUSE_MS;
/** How Socket.IO names an end that the server wished: that of an older session of the node, too. */
const BY_SERVER = "io server disconnect";

/** What is wrong when sessions are taken over again and again, in words for the log and the status. */
export const SHARED_IDENTITY =
  "the control plane keeps ending the session: another machine probably uses this node's identity";
/** What to do about it. */
export const SHARED_IDENTITY_FIX =
  "on the machine that was cloned: sudo noderax-agent enroll --again, " +
  "then sudo noderax-agent restart";

/**
 * Notices that the session is taken away again and again: a machine that was cloned with its identity
 * takes it each time it connects, and loses it when this one does (contract: Realtime, rules).
 */
export class Takeovers {
  readonly #pace: Backoff;
  #endedMs: number[] = [];
  #isShared = false;

  /** `random` gives a number from 0 to 1. */
  constructor(random: () => number = Math.random) {
    // At least half of a pause is waited: two that tried at once would both lose the session.
    const half = () => 0.5 + random() / 2;
    this.#pace = new Backoff({ firstMs: FIRST_PAUSE_MS, maxMs: MAX_PAUSE_MS, random: half });
  }

  /** Whether another machine seems to use this node's identity. */
  get isShared(): boolean {
    return this.#isShared;
  }

  /**
   * Notes the end of a session that lived so long; gives the pause before the next one, in
   * milliseconds, where it is shared.
   */
  ended(reason: string, livedMs: number, nowMs: number = performance.now()): number | undefined {
    if (livedMs >= ALONE_MS) this.#forget();
    if (reason !== BY_SERVER) return undefined;
    this.#endedMs = [...this.#endedMs, nowMs].slice(-MANY);
    const [firstMs = nowMs] = this.#endedMs;
    if (this.#endedMs.length === MANY && nowMs - firstMs <= WITHIN_MS) this.#isShared = true;
    return this.#isShared ? this.#pace.next() : undefined;
  }

  #forget(): void {
    this.#isShared = false;
    this.#endedMs = [];
    this.#pace.reset();
  }
}
