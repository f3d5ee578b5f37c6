import * as z from "@zod/zod";
import { HeaderText } from "../system/text.ts";
import type { HostFacts } from "../system/host_facts.ts";

/** Of words that people or the log are shown, no more is taken, in UTF-16 units. */
const MAX_WORDS = 1_000;

/** Words that are only shown or logged: a hostile control plane must not fill the log with them. */
export const Words: z.ZodType<string, string> = z.string()
  .transform((text) => text.slice(0, MAX_WORDS).toWellFormed());

/** The error body of every refused call (contract: Base path). */
export const ErrorBody = z.object({
  message: z.union([z.string(), z.array(z.string())]),
  errors: z.array(z.string()).optional().catch(undefined),
});

/** What the control plane's framework says where there is no such route. */
const NO_ROUTE = /^Cannot [A-Z]+ \//;

/**
 * The error body that only the control plane's own routes give: not the page of a proxy before it,
 * and not what another program says.
 */
export const OwnErrorBody = ErrorBody.extend({ statusCode: z.number(), path: z.string() })
  .refine(({ message }) => !NO_ROUTE.test(String(message)));

/** Where a machine is, as the control plane shows it (contract: Location). */
export type Location = {
  /** Who says so: a cloud, or whoever has configured it. */
  provider: "aws" | "gcp" | "azure" | "manual";
  /** How it is known. */
  source: "cloud_metadata" | "manual";
  /** Such as `eu-central-1`. */
  region: string;
  /** A part of the region. */
  zone?: string;
  /** In degrees, north is positive. */
  latitude?: number;
  /** In degrees, east is positive. */
  longitude?: number;
};

/** What a machine tells of itself when it becomes a node. */
export type NodeFacts = HostFacts & {
  /** Where it is, if that is known. */
  location?: Location | undefined;
};

/** Answer of `POST /enrollments/initiate` (contract: Enrollment). */
export const InitiatedEnrollment = z.object({ token: HeaderText, expiresAt: z.string() });
/** A pending enrollment's token and the time, RFC 3339, at which it expires. */
export type InitiatedEnrollment = z.infer<typeof InitiatedEnrollment>;

/** Answer of `GET /enrollments/{token}`; states that later servers add arrive as they are. */
export const EnrollmentStatus = z.union([
  z.object({
    status: z.literal("approved"),
    nodeId: HeaderText,
    agentToken: HeaderText,
  }),
  // The abort leaves what is wrong with an approval as the only thing to be told.
  z.object({ status: z.string().refine((status) => status !== "approved", { abort: true }) }),
]);
/** Where an enrollment stands. */
export type EnrollmentStatus = z.infer<typeof EnrollmentStatus>;

/** Answer of `POST /node-installs/consume` (contract: Enrollment). */
export const ConsumedInstall = z.object({ nodeId: HeaderText, agentToken: HeaderText });
/** The credentials that a bootstrap token was exchanged for. */
export type ConsumedInstall = z.infer<typeof ConsumedInstall>;

/** The statuses of an agent update in their order, and how far each is, in per cent. */
export const UPDATE_PERCENT = {
  dispatched: 5,
  downloading: 20,
  verifying: 45,
  installing: 70,
  restarting: 90,
  waiting_for_reconnect: 95,
} as const;

/** The body of `POST /agent-updates/targets/{targetId}/progress` (contract: agent.update). */
export interface UpdateProgress {
  /** What the update is at; `failed` pauses the whole rollout. */
  status: keyof typeof UPDATE_PERCENT | "failed";
  /** A whole number from 0 to 100. */
  progressPercent: number;
  /** For the operator: why it failed. */
  message?: string;
}

/** The answer to it; the contract has no shape for it, but an error is none. */
export const UpdateProgressAnswer = z.looseObject({
  statusCode: z.undefined().optional(),
}).refine((answer) => Object.keys(answer).length > 0);

/** The body of `POST /node-installs/progress` (contract: Enrollment). */
export interface InstallProgress {
  /** The bootstrap token. */
  token: string;
  /** The name of the stage, 2 to 64 characters. */
  stage: string;
  /** How the installation stands as a whole. */
  status: "installing" | "completed" | "failed";
  /** A whole number from 0 to 100. */
  progressPercent?: number;
  /** For the person who looks on, 500 characters at most. */
  statusMessage: string;
}

/**
 * A task as claimed (contract: Tasks over HTTP). Unknown properties are ignored. The id names files
 * of the journal, so it may hold nothing that a path could be made of.
 */
export const Task = z.object({
  id: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, "is not a task id"),
  type: Words,
  payload: z.unknown().optional(),
  timeoutSeconds: z.number().positive().optional().catch(undefined),
});
/** A task that the control plane leased to this node; the payload is parsed by its task type. */
export type Task = z.infer<typeof Task>;

/**
 * The root access that the control plane wishes; a profile's name is judged where it is applied. A
 * wish of another shape is one for a profile that nobody knows, and so for `off`: what cannot be
 * read must not leave root open. Only a missing or null one is none.
 */
export const DesiredRootAccess = z.union([
  z.object({
    profile: z.unknown().transform((name) => typeof name === "string" ? name : inJson(name)),
    updatedAt: z.string().nullish().catch(undefined),
  }),
  z.unknown().refine((wish) => wish !== undefined && wish !== null)
    .transform((wish) => ({ profile: inJson(wish), updatedAt: undefined })),
]);
/** The root access that the control plane wishes for this node. */
export type DesiredRootAccess = z.infer<typeof DesiredRootAccess>;

/** The root access that is in force, as a claim and `agent.auth` report it. */
export type RootAccessReport = {
  /** The profile. */
  appliedProfile: string;
  /** When it was applied, RFC 3339. */
  lastAppliedAt: string;
  /** Why it is not what was wished, or will not last. */
  lastError?: string;
};

/**
 * Answer of `POST /agent/tasks/claim`. Both properties are always there: `{}` with status 200 is what
 * a gateway says, and no word of the control plane's.
 */
export const Claim = z.object({
  task: Task.nullable(),
  outputTruncated: z.boolean(),
  rootAccess: DesiredRootAccess.nullish().catch(undefined),
});
/** What a claim brought: a task or none, and the root access where the control plane knows it. */
export type Claim = z.infer<typeof Claim>;

/** Answer of `GET /agent/tasks/{id}/control`. */
export const TaskControl = z.object({
  taskId: z.string(),
  status: Words,
  cancelRequested: z.boolean(),
  /** Goes back to the operators whole, in the task's log and its end. */
  cancelReason: z.string().nullish(),
});
/** What the control plane thinks of a task, and whether an operator wants it cancelled. */
export type TaskControl = z.infer<typeof TaskControl>;

/** Answer of `POST /agent/heartbeat`. */
export const HeartbeatAnswer = z.object({ acknowledged: z.literal(true), nodeId: z.string() });

/** Answer of `logs`: the entry as it is stored. */
export const StoredEntry = z.object({
  id: z.union([z.string(), z.number()]),
  taskId: z.string(),
});

/** Answer of `accepted`: the entry that is made of it, or that it was known already. */
export const AcceptedAnswer = z.union([
  StoredEntry,
  z.object({ ok: z.literal(true), duplicate: z.literal(true), taskId: z.string() }),
]);

/** Answer of `started` and `completed`: the task as it is now. */
export const ChangedTask = z.object({ id: z.string(), status: z.string() });

/** How a task may end, in the words of `completed`. */
const CompletionStatus = z.enum(["success", "failed", "cancelled", "timeout"]);

/** The body of `completed` (contract: Tasks over HTTP). What is not there must be left out, never null. */
export const Completion = z.object({
  status: CompletionStatus,
  output: z.string().optional(),
  exitCode: z.int().optional(),
  error: z.string().optional(),
  durationMs: z.int().optional(),
  result: z.record(z.string(), z.unknown()).optional(),
});
/** How a task ended. `durationMs` is a whole number of milliseconds. */
export type Completion = z.infer<typeof Completion>;

/** One log entry: one line, or several joined by newlines (1 to 5000 code points). */
export interface LogEntry {
  /** Where the text came from. */
  stream: LogStream;
  /** The text. */
  line: string;
  /** When its first line was read, RFC 3339. */
  timestamp: string;
}

/** The stream names of the contract; `system` is what the agent itself has to say. */
export const LogStream = z.enum(["stdout", "stderr", "system"]);
/** The name of a log stream. */
export type LogStream = z.infer<typeof LogStream>;

/** What JSON does not know is empty. */
function inJson(value: unknown): string {
  return JSON.stringify(value) ?? "";
}
