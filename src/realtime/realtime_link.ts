/** What the server answered an event with (contract: Realtime). */
export type Ack = {
  ok: boolean;
  message?: string | undefined;
  sessionId?: string | undefined;
  seq?: number | null | undefined;
};
/** The socket went away before the acknowledgement came. */
export class LinkDroppedError extends Error {}
/** The socket stayed, but no acknowledgement came in time. */
export class NoAckError extends Error {}
/** The authenticated realtime session, as telemetry and terminals see it. */
export interface RealtimeLink {
  /** Whether events can be sent now. */
  readonly ready: boolean;
  /** True once the control plane acknowledged anything, pings included, in the present session; `undefined` before, since it need not (contract: Realtime). */
  readonly acknowledges: boolean | undefined;
  /** Resolves as soon as the session is authenticated (at once if it is); rejects when the signal aborts. */
  whenReady(signal?: AbortSignal): Promise<void>;
  /** Sends an event and waits for its acknowledgement. Throws LinkDroppedError (also when not ready), NoAckError after timeoutMs. */
  request(event: string, payload: Record<string, unknown>, timeoutMs: number): Promise<Ack>;
  /** Sends an event without waiting; events about terminals wait for the next session if there is none now and are never dropped. Only `terminal.output` may be refused, with false, while realtime_queue_size events wait or the network is slow. */
  emit(event: string, payload: Record<string, unknown>): boolean;
  /** Sends a metrics snapshot: only the newest is kept while offline; the first to go under pressure. */
  emitMetrics(payload: Record<string, unknown>): void;
}

/** The session as it is now. */
export interface RealtimeSnapshot {
  /** Whether the node is authenticated. */
  connected: boolean;
  /** Since when it is so, by `performance.now()`. */
  sinceMs: number;
  /** Why it is not connected. */
  problem?: string;
  /** Whether another machine seems to use this node's identity, see `Takeovers`. */
  shared?: boolean;
}
