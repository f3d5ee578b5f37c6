import { oneLine } from "../system/text.ts";
import { messageOf } from "../system/user_error.ts";
import { type CallFailureKind, callFailureKind, leaveAloneMs } from "./errors.ts";

/** A call that failed. */
export interface CallFailure {
  /** When, by the clock. */
  readonly atMs: number;
  /** When the first of the failures in a row of this kind was. */
  readonly sinceMs: number;
  /** Why, on one line. */
  readonly why: string;
  /** What kind of failure. */
  readonly kind: CallFailureKind;
}

/** How often a call was made, and how it went last. */
export class CallStats {
  readonly #now: () => number;
  readonly #onChange: () => void;
  #turnedMs: number;
  #failingMs: number | undefined;
  /** How many were answered. */
  answers = 0;
  /** How many were not, or were refused. */
  failures = 0;
  /** When the last answer came, by the clock. */
  answeredMs: number | undefined;
  /** The last failure, and when that was by the clock. */
  failure: CallFailure | undefined;
  /** Whether the last one failed. */
  failing = false;
  /** For how long the last answer asked to be left alone, in milliseconds. */
  askedMs = 0;
  /** Whether no call is made for now, or none has been answered since. */
  paused = false;

  /** `now` is a clock that only goes forward, in milliseconds; `onChange` hears of every call. */
  constructor(now: () => number, onChange: () => void) {
    this.#now = now;
    this.#onChange = onChange;
    this.#turnedMs = now();
  }

  /** Says that the loop which makes the calls begins now. */
  begin(): void {
    this.#turnedMs = this.#now();
  }

  /** Says that not to call is what the loop is to do for now; how its last call went is past. */
  pause(): void {
    this.begin();
    if (this.paused && !this.failing) return;
    this.paused = true;
    this.failing = false;
    this.#onChange();
  }

  /** Notes an answer. */
  answered(): void {
    this.answers++;
    this.answeredMs = this.#turnedMs = this.#now();
    this.failing = this.paused = false;
    this.askedMs = 0;
    this.#onChange();
  }

  /** Notes a failure. */
  failed(error: unknown): void {
    this.failures++;
    this.#turnedMs = this.#now();
    this.askedMs = leaveAloneMs(error);
    const kind = callFailureKind(error);
    if (!this.failing) this.#failingMs = this.#turnedMs;
    const goesOn = this.failing && this.failure?.kind === kind;
    const sinceMs = goesOn && this.failure ? this.failure.sinceMs : this.#turnedMs;
    this.failure = { atMs: this.#turnedMs, sinceMs, kind, why: oneLine(messageOf(error)) };
    this.failing = true;
    this.#onChange();
  }

  /** For how long nothing but failures has come, in milliseconds; 0 where the last did not fail. */
  get failingForMs(): number {
    return this.failing ? this.#now() - (this.#failingMs ?? this.#turnedMs) : 0;
  }

  /** For how long no call has come to an end, in milliseconds. */
  get silentMs(): number {
    return this.#now() - this.#turnedMs;
  }
}
