import type * as z from "@zod/zod";
import { HttpError } from "./_http_error.ts";
import { nowMs } from "./_ledger.ts";
import type { Node, Nodes } from "./_nodes.ts";
import type { updateProgressBody } from "./_rules.ts";
import type { Tasks } from "./_tasks.ts";
import { iso } from "./_wire.ts";

type Progress = z.infer<typeof updateProgressBody>;

/** One node of a rollout (contract: agent.update). */
export interface AgentUpdateTarget {
  readonly targetId: string;
  /** The task that it was sent with. */
  readonly taskId: string;
  readonly nodeId: string;
  readonly targetVersion: string;
  status: Progress["status"] | "completed";
  /** What was reported, and when, in epoch milliseconds. */
  readonly progress: (Progress & { atMs: number })[];
}

/** The rollouts of other versions of the agent. */
export class AgentUpdates {
  readonly #nodes: Nodes;
  readonly #tasks: Tasks;
  readonly #changed: () => void;
  readonly #targets = new Map<string, AgentUpdateTarget>();

  /** `changed` is called after each change of state. */
  constructor(nodes: Nodes, tasks: Tasks, changed: () => void) {
    this.#nodes = nodes;
    this.#tasks = tasks;
    this.#changed = changed;
  }

  /** Sends a node (the only one unless named) another version. */
  start(
    targetVersion: string,
    { nodeId: named, rollback = false }: { nodeId?: string; rollback?: boolean },
  ): AgentUpdateTarget {
    const { nodeId } = this.#nodes.known(named);
    const targetId = crypto.randomUUID();
    const payload = { targetVersion, targetId, rollback };
    const taskId = this.#tasks.add(nodeId, { type: "agent.update", payload }).id;
    const target: AgentUpdateTarget = {
      targetId,
      taskId,
      nodeId,
      targetVersion,
      status: "dispatched",
      progress: [],
    };
    this.#targets.set(targetId, target);
    return target;
  }

  /** Stores a report of the node; one that comes after the end changes nothing. */
  progress(targetId: string, node: Node, progress: Progress): Record<string, unknown> {
    const target = this.#targets.get(targetId);
    if (target?.nodeId !== node.nodeId) {
      throw new HttpError(404, "Agent update target not found for this node");
    }
    target.progress.push({ ...progress, atMs: nowMs() });
    if (!hasEnded(target)) target.status = progress.status;
    this.#changed();
    const { progress: _, ...shown } = target;
    return { ...shown, ...progress, updatedAt: iso(nowMs()) };
  }

  /** A rollout is done on a node whose heartbeat reports the version. */
  onHeartbeat({ nodeId, agentVersion }: Node): void {
    for (const target of this.#targets.values()) {
      if (target.nodeId !== nodeId || target.targetVersion !== agentVersion) continue;
      if (hasEnded(target)) continue;
      target.status = "completed";
    }
    this.#changed();
  }
}

function hasEnded({ status }: AgentUpdateTarget): boolean {
  return status === "completed" || status === "failed";
}
