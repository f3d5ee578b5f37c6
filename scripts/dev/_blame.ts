import type { HttpError } from "./_http_error.ts";
import { type Call, taskRoute } from "./_routes.ts";
import { hasEnded } from "./_task.ts";
import type { Tasks } from "./_tasks.ts";

/** Holds a refusal against the agent by a sentence, unless it could not have known. */
export function blame(
  call: Pick<Call, "method" | "path" | "route">,
  { statusCode, message, isFault }: HttpError,
  tasks: Tasks,
  violate: (sentence: string) => void,
): void {
  if (!isFault) return;
  const route = taskRoute(call.route);
  if (statusCode === 409 && route) {
    const task = tasks.get(route.taskId);
    if (!task || task.endedByServer) return;
    if (route.call === "started" && !hasEnded(task)) return;
  } else if (![400, 413, 500].includes(statusCode) && !message.startsWith("Cannot ")) {
    return;
  }
  violate(`${call.method} ${call.path} was refused with ${statusCode}: ${message}`);
}
