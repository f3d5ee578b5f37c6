import * as z from "@zod/zod";
import { DesiredRootAccess, Task, Words } from "../control_plane/schemas.ts";
import type { Ack } from "./realtime_link.ts";
import { parseDuration } from "../config/kinds.ts";

const text = Words.optional().catch(undefined);

/** `agent.auth.ack` (contract: Realtime). */
export const AuthAck = z.object({
  authenticated: z.boolean(),
  nodeId: z.string(),
  rootAccess: DesiredRootAccess.nullish().catch(undefined),
});
/** Whether the node was let in, and the root access where the control plane knows it. */
export type AuthAck = z.infer<typeof AuthAck>;

/** `agent.error` and `agent.auth.error`: every refusal is told by one. */
export const Refusal = z.object({
  eventType: text,
  code: text,
  message: Words.catch("no reason given"),
});
/** What was refused, where the control plane says so, and why. */
export type Refusal = z.infer<typeof Refusal>;

/** `root-access.updated`. */
export const RootAccessUpdated = z.object({ rootAccess: DesiredRootAccess });

/** The acknowledgement of an event. */
export const EventAck: z.ZodType<Ack> = z.object({
  ok: z.boolean(),
  message: text,
  sessionId: z.string().optional(),
  seq: z.number().nullish().catch(undefined),
});

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
