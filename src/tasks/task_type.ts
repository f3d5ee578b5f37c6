import * as z from "@zod/zod";
import type { Completion, LogStream } from "../control_plane/schemas.ts";
import { parseDuration } from "../config/mod.ts";
import type { Note } from "./notes.ts";
import type { SecretMask } from "../logs/secret_mask.ts";
import type { Privileges } from "../privileges/privileges.ts";
import type { HostCommand, OutputChunk, Program } from "../hosts/host.ts";
import type { CommandOutput } from "./command_output.ts";

/** A program of a task. */
export interface TaskCommand extends Omit<HostCommand, "taskId" | "store" | "description"> {
  /** Whether all that it prints goes to {@linkcode TaskContext.keep}. */
  isKept?: boolean;
}

/** What a running task may use. */
export interface TaskContext {
  /** The task's id. */
  taskId: string;
  /** Whose rights its processes get. */
  privileges: Privileges;
  /** Aborts when the task must end; its reason is why. */
  signal: AbortSignal;
  /**
   * Resolves when the control plane has said that the task runs: what may change until then is to be
   * looked at behind it. It rejects if the task is not to run.
   */
  begun: Promise<void>;
  /** The program that an earlier agent has started for this task, and that goes on. */
  takenUp?: Program;
  /** Ends the time limit: the work is done, and only its output is waited for. */
  endTimeLimit?: () => void;
  /** Masks the task's secrets; what a type reads of an output is to go through it. */
  mask: SecretMask;
  /** Starts a program of the task, once it is written down that it will run. */
  start: (command: TaskCommand) => Promise<Program>;
  /** Puts what a program prints into the task's log, as it comes, until its end; what it tells of it. */
  keep: (output: AsyncIterable<OutputChunk>) => Promise<Pick<CommandOutput, "hasBegun" | "stderr">>;
  /** The path of a file that is kept for a later agent until the task is over. */
  note: (name: Note) => string;
  /** Logs whole lines, each with its newline. */
  onLines: (stream: LogStream, lines: string) => Promise<void>;
}

/** What a task type has to say about its end; times and output are added by the runner. */
export interface TaskOutcome extends Pick<Completion, "status" | "exitCode" | "error" | "result"> {
  /** What has to be mended now; told behind the error, also behind that of a cancelled task. */
  aftermath?: string;
}

/** One kind of task. */
export interface TaskType {
  /**
   * Whether nothing but looks happens before its first program runs, or {@linkcode TaskContext.begun}:
   * it may start that while the control plane has still to say yes, behind a gate that does not open
   * before.
   */
  isGated?: boolean;
  /** Whether it may begin once more as long as it has only looked at things. */
  mayBeginAnew?: boolean;
  /** Whether the work can go on with a program that an earlier agent has started for it. */
  mayBeTakenUp?: boolean;
  /**
   * Keeps back what must not run beside a program that an earlier agent has left: from the moment on
   * that its task is known, before anything else begins, until nothing of it runs any more.
   */
  keepOthersBack?(): Disposable;
  /** How a program of its that was taken up is asked to leave, where it must not be cut short. */
  askFirst?(context: TaskContext): Promise<NonNullable<HostCommand["askFirst"]>>;
  /** How long processes that outlived the agent may go on, in milliseconds; no time if not given. */
  orphanMs?: number;
  /** Looks at what processes that outlived the agent have left; says what has to be mended. */
  afterOrphan?(context: TaskContext): Promise<string | undefined>;
  /** Parses the payload; the function returned does the work. A bad payload is thrown by zod. */
  prepare(payload: unknown): (context: TaskContext) => Promise<TaskOutcome>;
}

/** The longest time limit that a timer can hold, in milliseconds. */
const MAX_LIMIT_MS = 2 ** 31 - 1;

/** Seconds as a number, or a duration as Go writes it. Zero, null and "" set no limit. */
const Limit = z.unknown().transform((value, context) => {
  if (value === undefined || value === null || value === "") return undefined;
  const ms = isNumeric(value) ? Number(value) * 1_000 : parseDuration(String(value));
  if (ms !== undefined && ms >= 0) return ms || undefined;
  context.addIssue(`must be seconds or a duration such as "30s", not ${JSON.stringify(value)}`);
  return z.NEVER;
});
const TimeLimits = z.looseObject({
  timeout_seconds: Limit.optional(),
  timeout: Limit.optional(),
});

function isNumeric(value: unknown): boolean {
  return typeof value === "number" || (typeof value === "string" && /^[\d.]+$/.test(value));
}

/**
 * The time limit of a task in milliseconds: its own `timeoutSeconds`, else the payload's
 * `timeout_seconds` or `timeout`, else `defaultMs`. Zero and the empty string are no limit of
 * the payload's own.
 *
 * @throws {z.ZodError} for a limit that is none.
 */
export function timeLimitMs(
  task: { timeoutSeconds?: number | undefined; payload?: unknown },
  defaultMs: number,
): number {
  if (task.timeoutSeconds !== undefined) {
    return Math.min(task.timeoutSeconds * 1_000, MAX_LIMIT_MS);
  }
  if (typeof task.payload !== "object" || task.payload === null) return defaultMs;
  const payload = TimeLimits.parse(task.payload);
  return Math.min(payload.timeout_seconds ?? payload.timeout ?? defaultMs, MAX_LIMIT_MS);
}

/** Says in one sentence which field of a payload is wrong. */
export function describeBadPayload(error: z.ZodError): string {
  const fields = error.issues.map((issue) =>
    `${["payload", ...issue.path].join(".")}: ${issue.message}`
  );
  return `bad payload: ${fields.join("; ")}`;
}
