import { delay } from "@std/async";
import type { Logger } from "../system/logger.ts";
import type { Connection } from "./connection.ts";
import { NoAckError } from "./realtime_link.ts";
import { msToBeat } from "../system/periodic.ts";
import { LogThrottle } from "../system/log_throttle.ts";
import { STALL_MS, taken } from "../system/stall.ts";

const SLOW_MS = 2_000;
/** Silence for so long, where pings were answered before, means that nobody is there. */
const DEAD_MS = 15_000;

/** What {@linkcode keepAlive} works with. */
export interface KeepAliveOptions {
  /** The connection, as far as pings need it. */
  connection: Pick<Connection, "request" | "heardAtMs">;
  /** Time between two pings, in milliseconds. */
  intervalMs: () => number;
  /** Called when the server is silent: the connection should be given up. */
  onDead: (reason: string) => void;
  /** The agent's log. */
  logger: Logger;
  /** Ends the pings. */
  signal: AbortSignal;
  /** How long an unanswered ping means a dead connection, in milliseconds. */
  deadMs?: number;
}

/**
 * Pings in every interval, answered or not (contract: Realtime, `agent.ping`), and warns of answers
 * that are slow or stay away. A connection that is silent besides is given up; one that never had an
 * answer is left to Engine.IO's own pings, for the control plane may be one that does not acknowledge.
 */
export async function keepAlive(options: KeepAliveOptions): Promise<void> {
  const { connection, intervalMs, logger, signal, onDead, deadMs = DEAD_MS } = options;
  const throttle = new LogThrottle();
  let acknowledges = false;
  let mute = false;

  const ping = async () => {
    const sentMs = performance.now();
    const payload = { type: "agent.ping", timestamp: new Date().toISOString() };
    try {
      await connection.request("agent.ping", payload, deadMs);
      acknowledges = true;
      const tookMs = Math.round(performance.now() - sentMs);
      if (tookMs > SLOW_MS && throttle.allows("slow")) {
        logger.warn("realtime ping is slow", { tookMs });
      }
    } catch (error) {
      if (!(error instanceof NoAckError)) return;
      if (!acknowledges) {
        // It will not change its ways on this connection: once is enough.
        if (!mute) logger.warn("control plane does not acknowledge pings");
        mute = true;
        return;
      }
      // It was this process that stood still, or the machine: later pings tell about the server.
      if (performance.now() - sentMs > deadMs + STALL_MS) return;
      await taken(signal);
      if (signal.aborted) return;
      if (connection.heardAtMs < sentMs) {
        onDead(`no ping was answered for ${deadMs / 1_000} s`);
      } else if (throttle.allows("unanswered")) {
        logger.warn("realtime ping is not answered", { waitedMs: deadMs });
      }
    }
  };
  try {
    while (true) {
      void ping();
      await delay(msToBeat(intervalMs()), { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
