import * as z from "@zod/zod";
import { claimBody, location, text } from "./_rules.ts";

/** base64 characters in one `terminal.output` (contract, realtime). */
const MAX_OUTPUT_CHARS = 65_536;

const dateTime = z.iso.datetime({ offset: true });
const object = z.record(z.string(), z.unknown());
const version = z.string().nullish();
const percent = z.number().min(0).max(100);

/** `agent.auth`. */
export const authEvent = z.strictObject({
  type: z.literal("agent.auth"),
  nodeId: z.uuid(),
  agentToken: z.string().min(1),
  agentVersion: version,
  platformVersion: version,
  kernelVersion: version,
  rootAccess: claimBody.shape.rootAccess,
});

/** The same where locations are taken. */
export const locatedAuthEvent = authEvent.extend({ location: location.optional() });

/** `agent.ping`. */
export const pingEvent = z.strictObject({ type: z.literal("agent.ping"), timestamp: dateTime });

/** `agent.metrics`; what is nested is only an object to the platform. */
export const metricsEvent = z.strictObject({
  type: z.literal("agent.metrics"),
  nodeId: z.uuid(),
  agentToken: z.string(),
  agentVersion: version,
  timestamp: dateTime.nullish(),
  collectedAt: dateTime.nullish(),
  cpuUsage: percent,
  memoryUsage: percent,
  diskUsage: percent,
  temperature: z.number().nullish(),
  networkStats: z.union([object, z.array(object)]).nullish(),
  networks: z.array(object).nullish(),
  cpu: object.nullish(),
  memory: object.nullish(),
  disk: object.nullish(),
});
/** A metrics snapshot as it was sent. */
export type Metrics = z.infer<typeof metricsEvent>;

const bytes = z.number().int().min(0);
const errors = { errorsIn: bytes, errorsOut: bytes, dropIn: bytes, dropOut: bytes };
const networks = z.array(z.strictObject({
  interface: z.string().min(1),
  bytesSent: bytes,
  bytesRecv: bytes,
  packetsSent: bytes,
  packetsRecv: bytes,
  ...errors,
}));
/** Without these parts of it the platform keeps the sums alone. */
const networkTotals = z.looseObject({ ...errors, interfaces: networks });
const sizes = { totalBytes: bytes, usedBytes: bytes, freeBytes: bytes, usedPercent: percent };

/**
 * What the contract says of the nested parts, which the platform stores unchecked: each breach as
 * a sentence.
 */
export const nestedMetrics = z.looseObject({
  networks: networks.optional(),
  networkStats: z.union([networks, networkTotals]).optional(),
  cpu: z.strictObject({ usagePercent: percent }).optional(),
  memory: z.strictObject({ ...sizes, availableBytes: bytes }).optional(),
  disk: z.strictObject({ ...sizes, path: z.string().min(1) }).optional(),
}).refine((it) => !it.networks || !it.networkStats, {
  path: ["networks"],
  error: "it is lost beside networkStats",
});

const ofTerminal = { sessionId: z.uuid(), timestamp: dateTime.nullish() };

/** `terminal.opened`. */
export const openedEvent = z.strictObject({
  type: z.literal("terminal.opened"),
  ...ofTerminal,
  cols: z.number().int().min(20).max(400).nullish(),
  rows: z.number().int().min(10).max(200).nullish(),
});

/** `terminal.output`. */
export const outputEvent = z.strictObject({
  type: z.literal("terminal.output"),
  ...ofTerminal,
  direction: z.enum(["stdout", "stderr", "system"]),
  payload: z.string().max(MAX_OUTPUT_CHARS),
});

/** `terminal.exited`. */
export const exitedEvent = z.strictObject({
  type: z.literal("terminal.exited"),
  ...ofTerminal,
  exitCode: z.number().int().nullish(),
  reason: text(0, 500).nullish(),
});

/** `terminal.error`: an agent has to answer any session id, so it need not be a UUID. */
export const errorEvent = z.strictObject({
  type: z.literal("terminal.error"),
  ...ofTerminal,
  sessionId: text(1, 200),
  message: text(0, 1000),
});

/** `task.accepted`, `task.started`, `task.log` and `task.completed`: the rest is as over HTTP. */
export const taskEvent = z.looseObject({ type: z.string(), taskId: z.uuid() });

/** The bytes of strict base64, padding included; undefined for anything else. */
export function decodeBase64(payload: string): Uint8Array | undefined {
  try {
    const bytes = Uint8Array.fromBase64(payload, { lastChunkHandling: "strict" });
    // White space is skipped by the decoder.
    return payload.length === Math.ceil(bytes.length / 3) * 4 ? bytes : undefined;
  } catch {
    return undefined;
  }
}
