import { delay } from "@std/async";
import {
  type Ack,
  LinkDroppedError,
  NoAckError,
  type RealtimeLink,
} from "../realtime/realtime_link.ts";

/** What a session looks like on the server's side. */
export interface ServerSession {
  /** Everything stored so far, in the order of its numbers. */
  output: Uint8Array[];
  /** The last number that was given. */
  seq: number;
  /** The events in the order in which they came. */
  events: { event: string; payload: Record<string, unknown> }[];
}

/** How the server behaves. */
export interface FakeLinkOptions {
  /** Time a handler takes, in milliseconds. */
  handlerMs?: () => number;
  /** Whether it acknowledges; looked at anew for each event. */
  acks?: boolean;
  /** Called for each event before it is stored; what it returns is the acknowledgement. */
  answer?: (payload: Record<string, unknown>) => Ack | undefined;
}

/** A server in the same process: stores output as it is handled, and drops when it is told to. */
export class FakeLink implements RealtimeLink {
  /** Whether it is connected. */
  ready = true;
  /** See {@linkcode RealtimeLink}; the answer to a ping may set it too. */
  acknowledges: true | undefined;
  /** How many events were sent without asking for an acknowledgement. */
  unasked = 0;
  /** What it has stored. */
  readonly sessions = new Map<string, ServerSession>();
  readonly #options: FakeLinkOptions;
  #connection = new AbortController();
  #waiting = Promise.withResolvers<void>();
  #changed = Promise.withResolvers<void>();
  /** How many requests were under way at most. */
  mostInFlight = 0;
  #inFlight = 0;

  /** Makes one that is connected. */
  constructor(options: FakeLinkOptions = {}) {
    this.#options = options;
  }

  /** See {@linkcode RealtimeLink}. */
  async whenReady(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.ready) return;
    const { promise, reject } = Promise.withResolvers<void>();
    const abort = () => reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    await Promise.race([this.#waiting.promise, promise]);
    signal?.removeEventListener("abort", abort);
  }

  /** See {@linkcode RealtimeLink}. */
  async request(event: string, payload: Record<string, unknown>, timeoutMs: number): Promise<Ack> {
    if (!this.ready) throw new LinkDroppedError("not connected");
    const connection = this.#connection.signal;
    this.mostInFlight = Math.max(this.mostInFlight, ++this.#inFlight);
    try {
      const ms = this.#options.handlerMs?.() ?? 0;
      if (ms > 0) await delay(ms);
      // Half of the frames that meet a drop were handled, the others were not.
      if (connection.aborted && this.#lossy()) throw new LinkDroppedError("dropped before");
      const ack = this.#handle(event, payload);
      if (connection.aborted) throw new LinkDroppedError("dropped behind");
      if (this.#options.acks === false) {
        await delay(timeoutMs, { signal: connection }).catch(() => {});
        if (connection.aborted) throw new LinkDroppedError("dropped unanswered");
        throw new NoAckError("no acknowledgement");
      }
      this.acknowledges = true;
      return ack;
    } finally {
      this.#inFlight--;
    }
  }

  /** See {@linkcode RealtimeLink}. */
  emit(event: string, payload: Record<string, unknown>): boolean {
    this.unasked++;
    this.#handle(event, payload);
    return true;
  }

  /** See {@linkcode RealtimeLink}. */
  emitMetrics(): void {}

  /** Ends the connection under whatever is on its way. */
  drop(): void {
    this.ready = false;
    this.acknowledges = undefined;
    this.#waiting = Promise.withResolvers();
    this.#connection.abort();
  }

  /** Connects again. */
  reconnect(): void {
    this.ready = true;
    this.#connection = new AbortController();
    this.#waiting.resolve();
  }

  /** The server's side of a session. */
  session(sessionId: string): ServerSession {
    const found = this.sessions.get(sessionId);
    if (found) return found;
    const made = { output: [], seq: 0, events: [] };
    this.sessions.set(sessionId, made);
    return made;
  }

  /** All of a session's output as text. */
  text(sessionId: string): string {
    return new TextDecoder().decode(join(this.session(sessionId).output));
  }

  /** The first event of a kind. */
  event(sessionId: string, event: string): Record<string, unknown> | undefined {
    return this.session(sessionId).events.find((seen) => seen.event === event)?.payload;
  }

  /** Resolves as soon as `condition` holds after some event. */
  async until(condition: () => boolean, what: string, limitMs = 150_000): Promise<void> {
    const timer = setTimeout(() => this.#changed.reject(new Error(`not seen: ${what}`)), limitMs);
    try {
      while (!condition()) await this.#changed.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  #lossCount = 0;
  #lossy(): boolean {
    return this.#lossCount++ % 2 === 0;
  }

  #handle(event: string, payload: Record<string, unknown>): Ack {
    const session = this.session(String(payload.sessionId));
    const isOutput = event === "terminal.output";
    const ack = this.#options.answer?.(payload) ??
      { ok: true, ...(isOutput ? { seq: ++session.seq } : {}) };
    if (isOutput && ack.ok && ack.seq !== null) {
      session.output.push(Uint8Array.fromBase64(String(payload.payload)));
    }
    session.events.push({ event, payload });
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    return ack;
  }
}

/** Puts chunks together. */
export function join(chunks: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
