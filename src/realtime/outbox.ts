import type { Connection } from "./connection.ts";
import { LinkDroppedError, NoAckError } from "./realtime_link.ts";

/** An acknowledgement is waited for so long; then it is enough that something later is answered. */
const ACK_LIMIT_MS = 10_000;
/** While more than this waits to leave the machine, metrics stay behind, and output must wait. */
const PRESSURE_BYTES = 256 * 1024;

/** Whether so much waits to leave the machine that output and metrics must wait. */
export function isPressed(connection: Pick<Connection, "bufferedBytes"> | undefined): boolean {
  return (connection?.bufferedBytes ?? 0) > PRESSURE_BYTES;
}

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
 * What the control plane has not acknowledged yet: events in their order, and the newest metrics
 * snapshot that could not be sent. realtime_queue_size bounds what waits to be sent: once so much
 * does, metrics go and output is refused, but no other event ever is.
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

  /** Keeps an event; `false` when it is output, whose terminal can wait, and there is no room. */
  add(outgoing: Outgoing): boolean {
    if (outgoing.event === "terminal.output" && this.#full) return false;
    this.#events.add(outgoing);
    if (this.#full) this.#metrics = undefined;
    return true;
  }

  /** Keeps a snapshot in place of an older one, unless events need all the room. */
  keepMetrics(outgoing: Outgoing): void {
    this.#metrics = this.#full ? undefined : outgoing;
  }

  /** Whether nothing waits for a session but metrics. */
  get isEmpty(): boolean {
    return this.#events.size === 0;
  }

  /** Sends what waits. */
  flush(connection: Connection, ackLimitMs: number = ACK_LIMIT_MS): void {
    for (const outgoing of this.takeUnsent()) {
      if (isSentOnce(outgoing)) connection.send(outgoing.event, outgoing.payload);
      else void this.#deliver(connection, outgoing, ackLimitMs);
    }
    if (isPressed(connection)) return;
    const metrics = this.takeMetrics();
    // Its answer is not looked at, but brings TCP's: a keystroke's echo would wait 40 ms for that.
    if (metrics) connection.request(metrics.event, metrics.payload, ACK_LIMIT_MS).catch(() => {});
  }

  async #deliver(connection: Connection, outgoing: Outgoing, ackLimitMs: number): Promise<void> {
    const sentMs = performance.now();
    try {
      await connection.request(outgoing.event, outgoing.payload, ackLimitMs);
    } catch (error) {
      if (error instanceof LinkDroppedError) return;
      // Into a line that is dead already it did not arrive: it goes again on the next one.
      if (error instanceof NoAckError && !await connection.arrived(sentMs)) return;
    }
    this.settle(outgoing);
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

  /** What is sent takes no room: metrics would stay away while a control plane is slow to answer. */
  get #full(): boolean {
    return this.#events.size - this.#sent.size >= this.#limit();
  }
}
