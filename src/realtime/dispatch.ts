import * as z from "@zod/zod";
import { parseDuration } from "../config/kinds.ts";
import { Task } from "../control_plane/schemas.ts";

/** Seconds as a number, or a duration with its unit; anything else is no limit. */
const Seconds = z.union([
  z.number(),
  z.string().transform((text) => (parseDuration(text) ?? NaN) / 1_000),
]).pipe(z.number().positive()).optional().catch(undefined);

const Action = z.object({
  taskId: Task.shape.id,
  action: Task.shape.type,
  data: z.unknown().optional(),
  timeout: Seconds,
}).transform(({ taskId, action, data, timeout }): Task => ({
  id: taskId,
  type: action,
  payload: data ?? {},
  timeoutSeconds: timeout,
}));

/**
 * `task.dispatch` in its three shapes (contract: Realtime): `{type, task}`, the task itself, or
 * `{taskId, action, data, timeout}`. The two that say of which kind they are come first.
 */
export const DispatchedTask: z.ZodType<Task> = z.union([
  z.object({ task: Task }).transform(({ task }) => task),
  Action,
  Task,
]);
