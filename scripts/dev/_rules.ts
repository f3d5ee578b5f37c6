import * as z from "@zod/zod";
import { HttpError } from "./_http_error.ts";

/** Of an accepted `output` only so many UTF-16 units are kept (contract, tasks over HTTP). */
export const STORED_OUTPUT_UNITS = 8000;

const codePoints = (text: string): number => {
  let count = 0;
  for (const _ of text) count++;
  return count;
};

/** A string of `min` to `max` code points: the platform counts characters, not UTF-16 units. */
export function text(min: number, max: number): z.ZodType<string> {
  return z.string().refine(
    (value) => value.length >= min && (value.length <= max || codePoints(value) <= max),
    { error: `must be ${min} to ${max} characters long` },
  );
}

const dateTime = z.iso.datetime({ offset: true });
const int = z.number().int();
const object = z.record(z.string(), z.unknown());
const version = z.string().nullish();

/** The root access profiles (contract, root access profiles). */
export const rootAccessProfile = z.enum([
  "off",
  "operational",
  "task",
  "terminal",
  "operational_task",
  "operational_terminal",
  "task_terminal",
  "all",
]);
/** A root access profile (contract, root access profiles). */
export type RootAccessProfile = z.infer<typeof rootAccessProfile>;

/** Where a node is (contract, location). */
export const location = z.strictObject({
  provider: z.enum(["aws", "gcp", "azure", "manual", "public_ip"]),
  source: z.enum(["cloud_metadata", "manual", "ipinfo"]),
  region: text(1, 120),
  zone: text(1, 120).optional(),
  latitude: z.number().min(-90).max(90).optional(),
  longitude: z.number().min(-180).max(180).optional(),
});

/** Body of `POST /enrollments/initiate`. */
export const initiateBody = z.strictObject({
  email: z.email().transform((value) => value.toLowerCase()),
  hostname: text(2, 1_000_000).transform((value) => value.toLowerCase()),
  additionalInfo: z.looseObject({ location: location.optional() }).nullish(),
});

const additionalInfo = z.strictObject({
  os: version,
  arch: version,
  agentVersion: version,
  platformVersion: version,
  kernelVersion: version,
});

/** Body of `POST /node-installs/consume`. */
export const consumeBody = z.strictObject({
  token: text(8, 1_000_000),
  hostname: text(2, 1_000_000).transform((value) => value.toLowerCase()),
  additionalInfo: additionalInfo.nullish(),
});

/** The same where locations are taken. */
export const locatedConsumeBody = consumeBody.extend({
  additionalInfo: additionalInfo.extend({ location: location.optional() }).nullish(),
});

/** Body of `POST /node-installs/progress`. */
export const progressBody = z.strictObject({
  token: text(8, 1_000_000),
  stage: text(2, 64),
  status: z.enum(["installing", "completed", "failed"]).nullish(),
  progressPercent: int.min(0).max(100).nullish(),
  statusMessage: text(0, 500).nullish(),
});

/** Body of `POST /agent-updates/targets/{targetId}/progress`; `completed` is for a heartbeat to say. */
export const updateProgressBody = z.strictObject({
  status: z.enum([
    "dispatched",
    "downloading",
    "verifying",
    "installing",
    "restarting",
    "waiting_for_reconnect",
    "failed",
  ]),
  progressPercent: int.min(0).max(100),
  message: text(0, 1_000_000).nullish(),
});

/** Body of `POST /agent/heartbeat`. */
export const heartbeatBody = z.strictObject({
  nodeId: z.uuid(),
  agentToken: z.string().min(32),
  agentVersion: version,
  platformVersion: version,
  kernelVersion: version,
  sentAt: dateTime.nullish(),
});

/** Body of `POST /agent/tasks/claim`. */
export const claimBody = z.strictObject({
  maxTasks: int.min(1).max(1).nullish(),
  waitMs: int.min(0).max(30_000).nullish(),
  capabilities: z.array(z.string()).nullish(),
  rootAccess: z.strictObject({
    appliedProfile: rootAccessProfile.nullish(),
    lastAppliedAt: dateTime.nullish(),
    lastError: z.string().nullish(),
  }).nullish(),
});

/** Body of `accepted` and of `started`. */
export const transitionBody = z.strictObject({
  taskId: z.uuid().nullish(),
  timestamp: dateTime.nullish(),
});

/** Body of `logs`. */
export const logBody = z.strictObject({
  taskId: z.uuid().nullish(),
  stream: text(1, 50),
  line: text(1, 5000),
  timestamp: dateTime.nullish(),
});

/** Body of `completed`. */
export const completedBody = z.strictObject({
  taskId: z.uuid().nullish(),
  status: z.enum(["success", "failed", "cancelled", "canceled", "timeout"]),
  result: object.nullish(),
  output: text(0, 200_000).nullish(),
  exitCode: int.nullish(),
  error: text(0, 10_000).nullish(),
  timestamp: dateTime.nullish(),
  durationMs: int.nullish(),
});
/** What a `completed` call said. */
export type CompletedBody = z.infer<typeof completedBody>;

/** Parses a body; a broken rule or an unknown property refuses the whole request with 400. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => `property ${[...issue.path, key].join(".")} should not exist`)
      : [`${issue.path.join(".") || "body"}: ${issue.message}`]
  );
  throw new HttpError(400, errors.join("; "), errors);
}

/** Who has sent a location to a control plane that takes none: the first time is no fault. */
export class RefusedLocations {
  readonly #senders = new Set<string>();

  /** Runs `parse`; its refusal of a location alone is held against `sender` the second time only. */
  judge<T>(sender: string, parse: () => T): T {
    try {
      return parse();
    } catch (thrown) {
      const isOfLocation = thrown instanceof HttpError && thrown.errors?.length === 1 &&
        /^property (additionalInfo\.)?location should not exist$/.test(thrown.message);
      if (!isOfLocation || this.#senders.has(sender)) throw thrown;
      this.#senders.add(sender);
      throw new HttpError(400, thrown.message, thrown.errors, false);
    }
  }
}

/** Why the database cannot store a text: NUL or a lone surrogate; undefined when it can. */
export function unstorable(value: string | null | undefined): string | undefined {
  if (!value) return undefined;
  if (value.includes("\0")) return "a NUL";
  return value.isWellFormed() ? undefined : "a lone surrogate";
}

/** {@linkcode unstorable} for each string and key inside a JSON value. */
export function unstorableInside(value: unknown): string | undefined {
  if (typeof value === "string") return unstorable(value);
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const found = unstorable(key) ?? unstorableInside(inner);
    if (found) return found;
  }
  return undefined;
}
