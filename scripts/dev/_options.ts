/** The control plane's settings. The times default to those of the contract and may be changed while it runs. */
export interface ControlPlaneOptions {
  /** The port to listen on; 0 (default) takes a free one and keeps it over stop and start. */
  port: number;
  /** How long a claimed task waits for `started` before it is queued again. Default 60 s. */
  leaseMs: number;
  /** How long a task is queued without a claim before it fails. Default 120 s. */
  queueTimeoutMs: number;
  /** How long a task runs, counted from its startedAt, before it fails. Default 1 800 s. */
  runningTimeoutMs: number;
  /** How often a held claim looks for a task; the platform: 500. 0 (default) wakes it at once. */
  claimPollMs: number;
  /** How long an enrollment token is valid. Default 15 min. */
  enrollmentTtlMs: number;
  /** A node not heard of for so long is shown offline. Default 90 s. */
  offlineAfterMs: number;
  /** After so much idleness a keep-alive connection is closed. Default 5 s, at least 1 s. */
  keepAliveMs: number;
  /** A claim whose caller hung up goes on and leases the next task to nobody. Default true. */
  claimsOutliveCallers: boolean;
  /** Approves each enrollment at once. Default false. */
  autoApprove: boolean;
  /** 100 requests a minute and address for heartbeat and enrollment, 429 beyond. Default true. */
  rateLimits: boolean;
  /** How many requests are remembered at least. Default 10 000. */
  maxRequests: number;
  /** How long each realtime event is handled; they are handled concurrently. Default: 0. */
  realtimeHandlerMs: () => number;
  /** Whether events are acknowledged; older control planes never do. Default true. */
  acks: boolean;
  /**
   * Whether enrollment, consume and `agent.auth` take a location, as the newest control planes do.
   * Default false: all that comes with one is refused.
   */
  takesLocation: boolean;
  /** Refuses every `agent.auth` with this message. Default null: by the credentials. */
  refuseAuth: string | null;
  /** A socket without `agent.ping` for so long is dropped. Default 45 s. */
  agentPingTimeoutMs: number;
  /** How long an agent has for `terminal.opened`. Default 15 s. */
  terminalOpenMs: number;
  /** So long after `terminal.stop` the server closes the session itself. Default 10 s. */
  terminalStopMs: number;
  /** A terminal whose operator is gone for so long is stopped. Default 300 s. */
  detachedMs: number;
  /** More output than this ends a terminal. Default 10 MiB. */
  transcriptBytes: number;
}

/** The contract's own values. */
export const DEFAULT_OPTIONS: Readonly<ControlPlaneOptions> = {
  port: 0,
  leaseMs: 60_000,
  queueTimeoutMs: 120_000,
  runningTimeoutMs: 1_800_000,
  claimPollMs: 0,
  enrollmentTtlMs: 15 * 60_000,
  offlineAfterMs: 90_000,
  keepAliveMs: 5_000,
  claimsOutliveCallers: true,
  autoApprove: false,
  rateLimits: true,
  maxRequests: 10_000,
  realtimeHandlerMs: () => 0,
  acks: true,
  takesLocation: false,
  refuseAuth: null,
  agentPingTimeoutMs: 45_000,
  terminalOpenMs: 15_000,
  terminalStopMs: 10_000,
  detachedMs: 300_000,
  transcriptBytes: 10 * 1024 * 1024,
};
