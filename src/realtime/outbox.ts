/** An event on its way out. */
export interface Outgoing {
  /** Its name. */
  readonly event: string;
  /** What it carries. */
  readonly payload: Record<string, unknown>;
}

/**
 * Whether an event is sent once, come what may: `terminal.opened` would open a terminal again that
 * was stopped in the meantime (contract: Realtime, rules), and output must not be seen twice.
 */
export function isSentOnce({ event }: Outgoing): boolean {
  return event === "terminal.opened" || event === "terminal.output";
}

/**
 * What the control plane has not acknowledged yet, within realtime_queue_size: events in their
 * order, and the newest metrics snapshot that could not be sent, while there is room for it.
 */
export class Outbox {
  readonly #limit: () => number;
  readonly #events = new Set<Outgoing>();
  readonly #sent = new Set<Outgoing>();
  #metrics: Outgoing | undefined;

  /** `limit` is asked anew each time: it may change while the agent runs. */
  constructor(limit: () => number) {
    this.#limit = limit;
  }

  /** Keeps an event; `false` when there is no room, not even a snapshot's. */
  add(outgoing: Outgoing): boolean {
    if (this.#events.size >= this.#limit()) return false;
    this.#events.add(outgoing);
    if (this.#events.size >= this.#limit()) this.#metrics = undefined;
    return true;
  }

  /** Keeps a snapshot in place of an older one, unless events need all the room. */
  keepMetrics(outgoing: Outgoing): void {
    this.#metrics = this.#events.size < this.#limit() ? outgoing : undefined;
  }

  /** The events that are to be sent, oldest first; they stay until they are settled, if need be. */
  takeUnsent(): Outgoing[] {
    const unsent = [...this.#events].filter((outgoing) => !this.#sent.has(outgoing));
    for (const outgoing of unsent) {
      if (isSentOnce(outgoing)) this.#events.delete(outgoing);
      else this.#sent.add(outgoing);
    }
    return unsent;
  }

  /** Takes the snapshot out. */
  takeMetrics(): Outgoing | undefined {
    const metrics = this.#metrics;
    this.#metrics = undefined;
    return metrics;
  }

  /** Forgets an event that has arrived. */
  settle(outgoing: Outgoing): void {
    this.#events.delete(outgoing);
    this.#sent.delete(outgoing);
  }

  /** The session ended: what was sent on it may not have arrived, and is to be sent again. */
  linkDropped(): void {
    this.#sent.clear();
  }
}
