import * as z from "@zod/zod";
import { DesiredRootAccess, Words } from "../control_plane/schemas.ts";
import type { Ack } from "./link.ts";

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
