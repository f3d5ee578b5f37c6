import type { CompletedBody } from "./_rules.ts";

/** The states of a task (contract, tasks over HTTP). */
export type TaskStatus = "queued" | "accepted" | "running" | "success" | "failed" | "cancelled";

/** A stored log entry. */
export interface TaskLog {
  readonly stream: string;
  readonly line: string;
  /** The agent's own timestamp, if it sent one. */
  readonly timestamp: string | undefined;
  /** When it arrived, in epoch milliseconds. */
  readonly receivedAt: number;
}

/** A change of a task's state. */
export interface Transition {
  readonly status: TaskStatus;
  /** Epoch milliseconds. */
  readonly at: number;
  /** Why, where the agent did not cause it. */
  readonly note?: string;
}

/** A task as the control plane knows it; times are epoch milliseconds. */
export interface Task {
  readonly id: string;
  readonly nodeId: string;
  readonly type: string;
  readonly payload: Record<string, unknown>;
  /** Further properties of the task as claimed, `timeoutSeconds` among them. */
  readonly extra: Record<string, unknown>;
  readonly createdAt: number;
  /** Sent to the agent by `task.dispatch`: claims do not get it. */
  readonly dispatched: boolean;
  status: TaskStatus;
  leaseUntil?: number;
  claimToken?: string;
  /** When it was last leased to a claim. */
  acceptedAt?: number;
  /** As the platform counts it: the timestamp of `started` if there was one. */
  startedAt?: number;
  endedAt?: number;
  cancelRequestedAt?: number;
  cancelReason?: string;
  /** Why the server ended it, or `timeout` when the agent said so. */
  reason?: string;
  /** True once the server itself ended it: time limits, cancellation before the start. */
  endedByServer: boolean;
  /** The body of the `completed` call that ended it. */
  completion?: CompletedBody;
  /** The result as stored. */
  result?: Record<string, unknown>;
  /** The output as stored: its first 8 000 UTF-16 units. */
  output?: string;
  outputTruncated: boolean;
  /** Every entry, in the order of arrival; grows while the task runs. */
  readonly logs: TaskLog[];
  readonly transitions: Transition[];
}

/** What a task is made from; other properties travel with it to the agent as they are. */
export interface NewTask {
  type: string;
  payload: Record<string, unknown>;
  timeoutSeconds?: number;
  /** Default: the node added last. */
  nodeId?: string;
  [property: string]: unknown;
}

/** True when nothing more can happen to a task. */
export function hasEnded(task: { status: TaskStatus }): boolean {
  return task.status === "success" || task.status === "failed" || task.status === "cancelled";
}
