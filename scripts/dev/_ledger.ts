/** Milliseconds since the epoch, with fractions, on a clock that never steps. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** A request the control plane received. */
export interface RequestRecord {
  readonly method: string;
  /** The whole path with its query, `/api/v1/…`. */
  readonly path: string;
  /** When its head arrived, in epoch milliseconds. */
  readonly at: number;
  /** When it was answered or came to its end, in epoch milliseconds. */
  endedAt?: number;
  /** What was answered; absent while pending and when no answer went out. */
  status?: number;
  /** How it stands: `gone` means the caller hung up, `reset` and `hung` are injected faults. */
  outcome: "pending" | "answered" | "gone" | "reset" | "hung";
  /** The parsed JSON body; undefined when there was none. */
  body: unknown;
  /** The headers an agent is expected to care about. */
  readonly headers: {
    authorization?: string | undefined;
    "content-type"?: string | undefined;
    "user-agent"?: string | undefined;
    "x-agent-node-id"?: string | undefined;
  };
  /** The task of a task route. */
  taskId?: string;
}

/** A request between its arrival and its answer, among those with the same key. */
export interface Flight {
  readonly key: string;
  readonly label: string;
}

/** A caller that hung up may have sent its next request before the server saw the hang-up. */
const HANG_UP_SLACK_MS = 500;

/**
 * Notices requests that were in flight together though the contract forbids it: two claims of one
 * node, two writing calls for one task. An overlap is held against the agent once the earlier
 * request is answered (so the agent was waiting for it), not when its caller had hung up.
 */
export class Flights {
  readonly #open = new Map<string, Set<Flight>>();
  readonly #maxima = new Map<string, number>();
  #suspects: { first: Flight; at: number; count: number; sentence: string }[] = [];
  readonly #report: (sentence: string) => void;

  /** `report` gets each breach as a sentence. */
  constructor(report: (sentence: string) => void) {
    this.#report = report;
  }

  /** A request with this key begins; `what` names the key in a sentence. */
  enter(key: string, label: string, what: string): Flight {
    const flight = { key, label };
    const open = this.#open.get(key) ?? new Set<Flight>();
    this.#open.set(key, open);
    for (const first of open) {
      const sentence = `${what}: "${label}" was sent while "${first.label}" was still in flight`;
      this.#suspects.push({ first, at: nowMs(), count: open.size + 1, sentence });
    }
    open.add(flight);
    if (!this.#maxima.has(key)) this.#maxima.set(key, 1);
    return flight;
  }

  /** A request is over: answered, or its caller has gone. */
  leave(flight: Flight, how: "answered" | "gone"): void {
    const open = this.#open.get(flight.key);
    if (!open?.delete(flight)) return;
    if (open.size === 0) this.#open.delete(flight.key);
    this.#settle((suspect) => suspect.first === flight, how === "gone" ? HANG_UP_SLACK_MS : 0);
  }

  /** Decides about overlaps whose earlier request is still open after the slack. */
  settle(): void {
    const old = nowMs() - HANG_UP_SLACK_MS;
    this.#settle((suspect) => suspect.at < old, 0);
  }

  /** The most requests with this key that were in flight together; 0: there was none. */
  max(key: string): number {
    this.settle();
    return this.#maxima.get(key) ?? 0;
  }

  #settle(due: (suspect: { first: Flight; at: number }) => boolean, slackMs: number): void {
    if (this.#suspects.length === 0) return;
    const now = nowMs();
    this.#suspects = this.#suspects.filter((suspect) => {
      if (!due(suspect)) return true;
      if (slackMs > 0 && now - suspect.at < slackMs) return false;
      const { key } = suspect.first;
      this.#maxima.set(key, Math.max(this.#maxima.get(key) ?? 0, suspect.count));
      this.#report(suspect.sentence);
      return false;
    });
  }
}

/**
 * How long waits last, in milliseconds: it tells a hang from a machine that is slow, and says nothing
 * about how quick anything is. It is beyond the 120 s that package changes wait for a program of the
 * machine's own that holds dpkg's lock.
 */
export const PATIENCE_MS = 150_000;

/** How long a wait may last and what it is for. */
export interface WaitOptions {
  /** {@linkcode PATIENCE_MS} by default. */
  timeoutMs?: number;
  /** What is waited for, or how things stand, for the error at the time limit. */
  what?: string | (() => string);
}

/** Waits for conditions that are looked at again after every request and change of state. */
export class Waits {
  readonly #checks = new Set<{ check: () => void; end: (error: Error) => void }>();
  readonly #listeners = new Set<() => void>();
  #soon: ReturnType<typeof setTimeout> | undefined;

  /** Resolves with the first truthy value of `predicate`; rejects at the time limit or if it throws. */
  waitFor<T>(predicate: () => T, options: WaitOptions = {}): Promise<NonNullable<T>> {
    const { timeoutMs = PATIENCE_MS, what = "a condition" } = options;
    return new Promise((resolve, reject) => {
      const end = (finish: () => void) => {
        clearTimeout(timer);
        this.#checks.delete(wait);
        finish();
      };
      const check = () => {
        try {
          const value = predicate();
          if (value) end(() => resolve(value));
        } catch (thrown) {
          end(() => reject(thrown));
        }
      };
      const wait = { check, end: (error: Error) => end(() => reject(error)) };
      const timer = setTimeout(() => {
        const text = typeof what === "function" ? what() : what;
        wait.end(new Error(`waited ${timeoutMs} ms in vain for ${text}`));
      }, timeoutMs);
      this.#checks.add(wait);
      check();
    });
  }

  /** Has the function called after each change; the answered function ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** A state changed: looks at each condition now. */
  changed(): void {
    for (const listener of this.#listeners) listener();
    for (const { check } of this.#checks) check();
  }

  /** Something small happened: looks at each condition soon, once for many such events. */
  touched(): void {
    for (const listener of this.#listeners) listener();
    if (this.#checks.size === 0 || this.#soon !== undefined) return;
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      this.changed();
    }, 0);
  }

  /** Rejects every wait. */
  close(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    for (const { end } of this.#checks) end(new Error("the control plane was shut down"));
  }
}
