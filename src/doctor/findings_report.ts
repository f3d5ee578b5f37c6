import { type Color, colored } from "../system/text.ts";
import type { Status } from "./check.ts";
import type { NamedFinding } from "./run_checks.ts";

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
