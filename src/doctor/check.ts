import { messageOf, UserError } from "../system/user_error.ts";
import { type Color, colored } from "../system/text.ts";

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

/** A check's name and what it has found. */
export interface NamedFinding extends Finding {
  /** The check. */
  check: string;
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

const MARK: Record<Status, string> = { ok: "ok", warn: "warn", fail: "FAIL", skip: "skip" };
const COLORS: Record<Status, Color> = { ok: "green", warn: "yellow", fail: "red", skip: "dim" };
const MARK_COLUMNS = 6;

/** How many checks came out in which way. */
export type Summary = Record<Status, number>;

/** Counts findings. */
export function summarize(findings: readonly NamedFinding[]): Summary {
  const summary = { ok: 0, warn: 0, fail: 0, skip: 0 };
  for (const { status } of findings) summary[status]++;
  return summary;
}

/** A finding as text: one line, and further ones for details and the fix. */
export function findingText(finding: NamedFinding, nameColumns: number, color = false): string {
  const { check, status, found, fix } = finding;
  const indent = " ".repeat(MARK_COLUMNS + nameColumns + 2);
  const mark = MARK[status].padEnd(MARK_COLUMNS);
  const head = colored(mark, COLORS[status], color) + check.padEnd(nameColumns + 2);
  const lines = found.split("\n");
  if (fix) {
    lines.push(`${colored("fix:", "bold", color)} ${fix.replaceAll("\n", `\n${indent}     `)}`);
  }
  return head + lines.join(`\n${indent}`) + "\n";
}

/** The summary as text: `19 ok, 1 warning, 2 failed`. */
export function summaryText({ ok, warn, fail, skip }: Summary): string {
  const parts = [`${ok} ok`];
  if (warn > 0) parts.push(`${warn} warning${warn === 1 ? "" : "s"}`);
  if (fail > 0) parts.push(`${fail} failed`);
  if (skip > 0) parts.push(`${skip} skipped`);
  return parts.join(", ") + "\n";
}
