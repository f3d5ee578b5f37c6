import { delay } from "@std/async";
import type { AgentApi } from "../control_plane/agent_api.ts";
import { leaveAloneMs } from "../control_plane/errors.ts";
import type { TaskControl } from "../control_plane/schemas.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";
import type { EndCause } from "./end_cause.ts";

/** Operators are impatient with what they have just started by mistake, in milliseconds. */
const FIRST_LOOK_MS = 250;
const LOOK_EVERY_MS = 2_000;

/**
 * Asks the control plane every 2 s whether a task is still wanted, and calls `onCause` when it is
 * not. A call that fails is as good as none: the next one tells. Resolves when `signal` aborts.
 */
export async function pollCancellation(
  api: Pick<AgentApi, "control">,
  taskId: string,
  onCause: (cause: EndCause) => void,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  try {
    let pauseMs = FIRST_LOOK_MS;
    while (true) {
      await delay(pauseMs, { signal });
      pauseMs = LOOK_EVERY_MS;
      try {
        const cause = causeOf(await api.control(taskId, signal));
        if (cause) onCause(cause);
      } catch (error) {
        if (signal.aborted) return;
        pauseMs += leaveAloneMs(error);
        logger.debug("task control cannot be read", { error: messageOf(error) });
      }
    }
  } catch {
    // Aborted while it waited: nobody wants to know any more.
  }
}

/** Why the task must end, if the control plane wants that or has ended it itself. */
export function causeOf(
  { status, cancelRequested, cancelReason }: TaskControl,
): EndCause | undefined {
  if (["cancelled", "failed", "success"].includes(status)) {
    return { kind: "ended on the control plane", status };
  }
  return cancelRequested ? { kind: "cancelled", reason: cancelReason ?? undefined } : undefined;
}
