import { internalError } from "./_http_error.ts";
import { unstorable } from "./_rules.ts";
import { hasEnded, type Task } from "./_task.ts";

/** Column widths (contract, realtime): longer values cannot be stored. */
const COLUMNS = {
  hostname: 255,
  os: 120,
  arch: 64,
  agentVersion: 64,
  platformVersion: 120,
  kernelVersion: 120,
};

/** Refuses values that are longer than their column with a 500. */
export function checkColumns(values: Record<string, unknown>): void {
  for (const [name, width] of Object.entries(COLUMNS)) {
    const value = values[name];
    if (typeof value === "string" && ([...value].length > width || unstorable(value))) {
      throw internalError();
    }
  }
}

/** Epoch milliseconds as the platform writes a time. */
export function iso(epochMs: number): string;
export function iso(epochMs: number | undefined): string | null;
export function iso(epochMs: number | undefined): string | null {
  return epochMs === undefined ? null : new Date(epochMs).toISOString();
}

/** The workspace of all that there is. */
export const WORKSPACE_ID = "9d4174b9-5dc2-4891-8d1b-f0a2f6c4e52c";

/** A task as an agent gets it. */
export function wire(task: Task): Record<string, unknown> {
  return {
    id: task.id,
    workspaceId: WORKSPACE_ID,
    nodeId: task.nodeId,
    targetTeamId: null,
    targetTeamName: null,
    templateId: null,
    templateName: null,
    isInternal: false,
    type: task.type,
    payload: task.payload,
    status: task.status,
    result: task.result ?? null,
    output: task.output ?? null,
    outputTruncated: task.outputTruncated,
    leaseUntil: hasEnded(task) ? null : iso(task.leaseUntil),
    claimedBy: task.claimToken ? task.nodeId : null,
    claimToken: task.claimToken ?? null,
    startedAt: iso(task.startedAt),
    finishedAt: iso(task.endedAt),
    cancelRequestedAt: iso(task.cancelRequestedAt),
    cancelReason: task.cancelReason ?? null,
    createdAt: iso(task.createdAt),
    updatedAt: iso(task.transitions.at(-1)?.at),
    ...task.extra,
  };
}
