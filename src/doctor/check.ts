import { messageOf, UserError } from "../system/user_error.ts";

/** How a check came out; only `fail` is a failure of the whole. */
export type Status = "ok" | "warn" | "fail" | "skip";

/** What a check has found. */
export interface Finding {
  /** How it came out. */
  status: Status;
  /** What was found; beyond the first line come details. */
  found: string;
  /** What to do, with the exact command where there is one. */
  fix?: string;
}

/** One thing that is looked at. */
export interface Check {
  /** What it goes by. */
  name: string;
  /** The checks that must not have failed before this one makes sense. */
  needs?: readonly string[];
  /** How long it may take, in milliseconds; 5 s unless told. */
  limitMs?: number;
  /** What to do when it takes longer. */
  lateFix?: string | (() => Promise<string>);
  /** Looks; what it throws is a failure. The signal aborts at the limit. */
  run(signal: AbortSignal): Promise<Finding> | Finding;
}

/** All is well. */
export function ok(found: string): Finding {
  return { status: "ok", found };
}

/** The agent works, but somebody should know. */
export function warn(found: string, fix: string): Finding {
  return { status: "warn", found, fix };
}

/** The agent does not work, or a part of it. */
export function fail(found: string, fix: string): Finding {
  return { status: "fail", found, fix };
}

/** There was nothing to look at. */
export function skip(found: string): Finding {
  return { status: "skip", found };
}

/** Makes a failure of what was thrown: the agent's own sentences say what to do behind a colon. */
export function failureOf(thrown: unknown): Finding {
  const sentence = messageOf(thrown).replace(/\.$/, "");
  const at = thrown instanceof UserError ? sentence.lastIndexOf(": ") : -1;
  if (at < 0) return { status: "fail", found: sentence };
  return fail(sentence.slice(0, at), sentence.slice(at + 2));
}
