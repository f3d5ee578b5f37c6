import { delay } from "@std/async";
import type { AgentApi } from "../control_plane/agent_api.ts";
import { OutageLog } from "../control_plane/outage_log.ts";
import { RetryPacer } from "../control_plane/retry_pacer.ts";
import type { HostFacts } from "../system/host_facts.ts";
import type { CallStats } from "../control_plane/call_stats.ts";
import { RoundJitter } from "../system/round_jitter.ts";
import type { Logger } from "../system/logger.ts";
import type { LogThrottle } from "../system/log_throttle.ts";

/** What the heartbeat loop works with. */
export interface HeartbeatOptions {
  /** The control plane. */
  api: Pick<AgentApi, "heartbeat" | "reachability">;
  /** What is told of the machine. */
  facts: HostFacts;
  /** Time between two heartbeats, in milliseconds. */
  intervalMs: () => number;
  /** The agent's log. */
  logger: Logger;
  /** Keeps the loops of the agent from saying the same thing. */
  throttle?: LogThrottle | undefined;
  /** Hears how each heartbeat goes. */
  stats?: CallStats | undefined;
  /** Ends the loop. */
  signal: AbortSignal;
  /** A number from 0 to 1. */
  random?: () => number;
}

/**
 * Sends a heartbeat at once and then in every interval, see {@linkcode RoundJitter}; one that failed
 * is tried again sooner.
 */
export async function sendHeartbeats(options: HeartbeatOptions): Promise<void> {
  const { api, facts, intervalMs, logger, stats, signal, random } = options;
  const { reachability } = api;
  const outage = new OutageLog({ what: "heartbeat", logger, throttle: options.throttle });
  const pacer = new RetryPacer({ reachability, takesTurns: true });
  const rounds = new RoundJitter(random);
  try {
    while (!signal.aborted) {
      try {
        await api.heartbeat(facts, signal);
        outage.succeeded();
        pacer.succeeded();
        stats?.answered();
      } catch (error) {
        if (signal.aborted) return;
        stats?.failed(error);
        outage.failed(error);
        rounds.restart();
        await pacer.failed(error, signal);
        continue;
      }
      await delay(intervalMs() * rounds.next(), { signal });
      await reachability.turn(signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
