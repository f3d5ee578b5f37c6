import * as z from "@zod/zod";
import type { Completion, TaskControl } from "../control_plane/schemas.ts";
import type { Program } from "../hosts/host.ts";
import { usageText } from "../hosts/usage.ts";
import { storable } from "../logs/log_entries.ts";
import type { SecretMask } from "../logs/secret_mask.ts";
import type { TaskLog } from "../logs/task_log.ts";
import type { TaskOutcome } from "./task_type.ts";

/**
 * The longest `error` of a task, in UTF-16 units: the control plane takes 10 000 (contract: Tasks
 * over HTTP), and a sentence about lines that were not delivered may be added.
 */
const MAX_ERROR_UNITS = 9_900;
/** What a task has used is told if it took longer than this, in milliseconds. */
const ACCOUNTED_MS = 10_000;

/** Why a running task has to end before its time; the first cause wins. */
export const EndCause = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("time limit"), limitMs: z.number() }),
  z.object({ kind: z.literal("cancelled"), reason: z.string().optional() }),
  z.object({ kind: z.literal("stopping") }),
  z.object({ kind: z.literal("bound"), bound: z.string() }),
  z.object({ kind: z.literal("ended on the control plane"), status: z.string() }),
]);
/** Why a running task has to end before its time. */
export type EndCause = z.infer<typeof EndCause>;

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

/** The end of a task as it is reported, but for its output. */
export function completionOf(
  outcome: TaskOutcome,
  durationMs: number,
  mask: SecretMask,
): Completion {
  const { error: own, aftermath, ...rest } = outcome;
  const error = [own, aftermath].filter((sentence) => sentence !== undefined).join("; ");
  return {
    ...rest,
    durationMs: Math.round(durationMs),
    ...(error === "" ? {} : { error: storable(mask.apply(error).slice(0, MAX_ERROR_UNITS)) }),
  };
}

/** Says what the work has used, where somebody has counted, and where it was much. */
export async function withUsage(
  outcome: TaskOutcome,
  tookMs: number,
  log: TaskLog,
  program: Program | undefined,
): Promise<TaskOutcome> {
  if (tookMs < ACCOUNTED_MS) return outcome;
  const usage = await program?.usage?.().catch(() => undefined);
  const text = usage && usageText(usage);
  if (!usage || !text) return outcome;
  await log.write("system", `[used: ${text}]\n`);
  return outcome.result ? { ...outcome, result: { ...outcome.result, usage } } : outcome;
}

/** Adds the output: operators must not take what they see for all there was. */
export async function withOutput(
  outcome: Completion,
  log: TaskLog,
  isWhole: boolean,
): Promise<Completion> {
  const output = await log.summary();
  const { error } = outcome;
  const left = `${error ? `${error}; ` : ""}its last lines were not delivered`;
  return {
    ...outcome,
    ...(output === "" ? {} : { output }),
    ...(isWhole ? {} : { error: left }),
  };
}
