import { delay } from "@std/async";
import { type AgentApi, MAX_CLAIM_WAIT_MS } from "../control_plane/agent_api.ts";
import { OutageLog } from "../control_plane/outage_log.ts";
import { RetryPacer } from "../control_plane/retry_pacer.ts";
import type { DesiredRootAccess, RootAccessReport } from "../control_plane/schemas.ts";
import type { CallStats } from "../control_plane/call_stats.ts";
import { RoundJitter } from "../system/round_jitter.ts";
import type { Logger } from "../system/logger.ts";
import type { LogThrottle } from "../system/log_throttle.ts";
import type { TaskManager } from "./task_manager.ts";

const FIRST_PAUSE_MS = 250;
/** How often an agent that has enough to do looks whether it still has, in milliseconds. */
const FULL_PAUSE_MS = 200;

/** What the claim loop works with. */
export interface ClaimLoopOptions {
  /** The control plane. */
  api: Pick<AgentApi, "claim" | "reachability">;
  /** How long a claim may be held, in milliseconds; more than 30 s count as 30 s. */
  waitMs: () => number;
  /** Takes each task, unless it is no new one; while it is full, none is claimed. */
  tasks: Pick<TaskManager, "take" | "full">;
  /** Hears of each answer, with the root access that the control plane wishes, where it knows any. */
  onRootAccess?: (wish: DesiredRootAccess | undefined) => void;
  /** The root access that is in force, where the control plane has wished any. */
  rootAccess?: () => Promise<RootAccessReport | undefined>;
  /** The agent's log. */
  logger: Logger;
  /** Keeps the loops of the agent from saying the same thing. */
  throttle?: LogThrottle | undefined;
  /** Hears how each claim goes. */
  stats?: CallStats | undefined;
  /** Ends the loop. */
  signal: AbortSignal;
  /** A number from 0 to 1. */
  random?: () => number;
}

/**
 * Claims tasks by long polls, one at a time: two at once could be given the same task, and one that
 * is hung up on can still be given one (contract: Tasks over HTTP). How
 * long each is held is told by {@linkcode RoundJitter}.
 */
export async function claimTasks(options: ClaimLoopOptions): Promise<void> {
  const { api, tasks, onRootAccess, logger, stats, signal, random } = options;
  const outage = new OutageLog({ what: "claim", logger, throttle: options.throttle });
  const pacer = new RetryPacer({ reachability: api.reachability, takesTurns: true });
  let idlePauseMs = FIRST_PAUSE_MS;
  const rounds = new RoundJitter(random);
  try {
    while (!signal.aborted) {
      if (tasks.full) {
        // Not to ask is what it is to do: it is alive.
        stats?.pause();
        await delay(FULL_PAUSE_MS, { signal });
        continue;
      }
      const mostMs = Math.min(options.waitMs(), MAX_CLAIM_WAIT_MS);
      const waitMs = Math.round(mostMs * rounds.next());
      const startedMs = performance.now();
      try {
        const { task, rootAccess } = await api.claim(waitMs, signal, await options.rootAccess?.());
        outage.succeeded();
        pacer.succeeded();
        stats?.answered();
        onRootAccess?.(rootAccess ?? undefined);
        const news = task ? tasks.take(task) : false;
        const held = performance.now() - startedMs >= waitMs / 2;
        if (news || held) {
          idlePauseMs = FIRST_PAUSE_MS;
          continue;
        }
      } catch (error) {
        if (signal.aborted) return;
        stats?.failed(error);
        outage.failed(error);
        rounds.restart();
        await pacer.failed(error, signal);
        continue;
      }
      // A server that does not hold claims must not be asked in circles.
      await delay(idlePauseMs, { signal });
      idlePauseMs = Math.min(idlePauseMs * 2, Math.max(mostMs, FIRST_PAUSE_MS));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
