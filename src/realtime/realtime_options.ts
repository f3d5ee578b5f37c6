import type { Config } from "../config/mod.ts";
import type { Credentials } from "../control_plane/agent_api.ts";
import type { Network } from "../control_plane/network.ts";
import type { HostFacts } from "../system/host_facts.ts";
import type { Logger } from "../system/logger.ts";
import type { RealtimeHandlers } from "./inbox.ts";

/** The part of the configuration that realtime obeys; it is asked each time it is needed. */
export type RealtimeConfig = Pick<
  Config,
  | "realtimeBackoffJitter"
  | "realtimeNamespace"
  | "realtimePath"
  | "realtimePingIntervalMs"
  | "realtimeQueueSize"
>;

/** What `RealtimeSession` works with. */
export interface RealtimeOptions {
  /** Shared with HTTP. */
  network: Network;
  /** The configuration as it is now. */
  config: () => RealtimeConfig;
  /** Who this node is. */
  identity: Credentials;
  /** What is told of the machine. */
  facts: HostFacts;
  /** The applied root access, for `agent.auth`; none where nothing is known of profiles. */
  rootAccess?: () => Record<string, unknown> | undefined;
  /** Where this machine is, for `agent.auth`, and whether that is refused; never sent without. */
  location?: {
    /** What to send with the next one, if anything. */
    current(): Promise<Record<string, unknown> | undefined>;
    /** Called when the node was let in without it, and not with it. */
    refused(): unknown;
  };
  /** Whether somebody works through the session now: then it does not take its turn to come back. */
  isInUse?: () => boolean;
  /** Get what the control plane sends. */
  handlers: RealtimeHandlers;
  /** Called each time the node is authenticated. */
  onReady?: () => void;
  /** The agent's log. */
  logger: Logger;
  /** Ends the session. */
  signal?: AbortSignal;
  /** A number from 0 to 1. */
  random?: () => number;
  /** How long an acknowledgement is waited for, in milliseconds. */
  ackLimitMs?: number;
}
