import type { TaskControl } from "../control_plane/schemas.ts";
import type { TaskOutcome } from "./task_type.ts";

/** Why a running task has to end before its time; the first cause wins. */
export type EndCause =
  | { kind: "time limit"; limitMs: number }
  | { kind: "cancelled"; reason: string | undefined }
  | { kind: "stopping" }
  | { kind: "bound"; bound: string }
  | { kind: "ended on the control plane"; status: string };

/** What operators are told in the task's log when it is ended. */
export function describeCause(cause: EndCause): string {
  switch (cause.kind) {
    case "time limit":
      return `time limit of ${cause.limitMs / 1_000} s reached`;
    case "cancelled":
      return cause.reason ? `cancelled: ${cause.reason}` : "cancelled";
    case "stopping":
      return "agent is stopping";
    case "bound":
      return `ended by ${cause.bound}`;
    case "ended on the control plane":
      return `the control plane ended the task (${cause.status})`;
  }
}

/** How a task ended that was made to end; all but its status and its own error is kept. */
export function outcomeOf(cause: EndCause, own: TaskOutcome): TaskOutcome {
  const status = cause.kind === "time limit"
    ? "timeout"
    : cause.kind === "cancelled"
    ? "cancelled"
    : "failed";
  return { ...own, status, error: describeCause(cause) };
}

/** Why a task must end, if the control plane wants that or has ended it itself. */
export function causeOf(
  { status, cancelRequested, cancelReason }: TaskControl,
): EndCause | undefined {
  if (["cancelled", "failed", "success"].includes(status)) {
    return { kind: "ended on the control plane", status };
  }
  return cancelRequested ? { kind: "cancelled", reason: cancelReason ?? undefined } : undefined;
}
