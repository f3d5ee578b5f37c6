import { abortable } from "@std/async";
import { settlesWithin } from "../system/deadline.ts";
import { TimeLimit } from "../system/stall.ts";
import { type Check, failureOf, type Finding, type NamedFinding, skip } from "./check.ts";
import { accountChecks } from "./account_checks.ts";
import { apiChecks, socketChecks } from "./api_checks.ts";
import { configChecks } from "./config_checks.ts";
import { fileModeChecks } from "./file_modes.ts";
import { instanceChecks } from "./instance_check.ts";
import { machineChecks } from "./machine_checks.ts";
import { orphanChecks } from "./orphan_check.ts";
import { routeChecks } from "./route_checks.ts";
import { storageChecks } from "./storage_checks.ts";
import type { CheckContext } from "./check_context.ts";
import { tlsChecks } from "./tls_check.ts";

/** How long a check may take unless it says otherwise, in milliseconds. */
const CHECK_LIMIT_MS = 5_000;
/** How long all of them may take together, in milliseconds. */
const TOTAL_LIMIT_MS = 15_000;
/** How long a check that is ended may take to end what it has started, in milliseconds. */
const LEAVE_MS = 500;

/** What {@linkcode runChecks} may be told. */
export interface RunOptions {
  /** Is handed each finding in the order of the checks, as soon as those before it are known. */
  onFinding?: (finding: NamedFinding) => void;
  /** How long all checks may take together, in milliseconds. */
  totalMs?: number;
  /** Ends all of them; its reason is thrown. */
  signal?: AbortSignal;
}

/**
 * Runs checks side by side, each as soon as those that it needs have not failed, and gives what
 * they found in their order. A check whose need has failed is skipped.
 */
export async function runChecks(
  checks: readonly Check[],
  { onFinding = () => {}, totalMs = TOTAL_LIMIT_MS, signal }: RunOptions = {},
): Promise<NamedFinding[]> {
  const endMs = performance.now() + totalMs;
  const outcomes = new Map<string, Promise<Outcome>>();
  for (const check of checks) {
    const needs = (check.needs ?? []).map((name) => ({ name, outcome: outcomes.get(name) }));
    outcomes.set(check.name, runWhenPossible(check, needs, endMs, signal));
  }
  const findings: NamedFinding[] = [];
  for (const [check, outcome] of outcomes) {
    const finding = { check, ...(await outcome).finding };
    signal?.throwIfAborted();
    findings.push(finding);
    onFinding(finding);
  }
  return findings;
}

interface Outcome {
  finding: Finding;
  /** Whether those that need it can run. */
  passable: boolean;
}

async function runWhenPossible(
  check: Check,
  needs: { name: string; outcome: Promise<Outcome> | undefined }[],
  endMs: number,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  for (const { name, outcome } of needs) {
    if (outcome && !(await outcome).passable) {
      return { finding: skip(`needs ${name}`), passable: false };
    }
  }
  const leftMs = endMs - performance.now();
  if (leftMs <= 0) return { finding: skip("no time is left for it"), passable: false };
  const finding = await runWithin(
    check,
    Math.min(check.limitMs ?? CHECK_LIMIT_MS, leftMs),
    signal,
  );
  return { finding, passable: finding.status !== "fail" };
}

async function runWithin(
  check: Check,
  limitMs: number,
  signal: AbortSignal | undefined,
): Promise<Finding> {
  using limit = new TimeLimit(limitMs);
  const over = signal ? AbortSignal.any([limit.signal, signal]) : limit.signal;
  const run = async () => await check.run(over);
  const running = run().catch(failureOf);
  try {
    return await abortable(running, over);
  } catch {
    await settlesWithin(running, LEAVE_MS);
    const found = `no result within ${Math.round(limitMs / 100) / 10} s`;
    const { lateFix } = check;
    const fix = typeof lateFix === "function" ? await lateFix() : lateFix;
    return { status: "fail", found, ...(fix === undefined ? {} : { fix }) };
  }
}

/** Everything that doctor looks at, in the order in which it is told. */
export function allChecks(context: CheckContext): Check[] {
  return [
    ...configChecks(context),
    ...fileModeChecks(context),
    ...routeChecks(context),
    ...tlsChecks(context),
    ...apiChecks(context),
    ...socketChecks(context),
    ...instanceChecks(context),
    ...storageChecks(context),
    ...accountChecks(context),
    ...machineChecks(context),
    ...orphanChecks(),
  ];
}
