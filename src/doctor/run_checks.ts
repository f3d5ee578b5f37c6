import { type Check, failureOf, type Finding, skip } from "./check.ts";

/** How long a check may take unless it says otherwise, in milliseconds. */
const CHECK_LIMIT_MS = 5_000;
/** How long all of them may take together, in milliseconds. */
const TOTAL_LIMIT_MS = 15_000;

/** A check's name and what it has found. */
export interface NamedFinding extends Finding {
  /** The check. */
  check: string;
}

/** What {@linkcode runChecks} may be told. */
export interface RunOptions {
  /** Is handed each finding in the order of the checks, as soon as those before it are known. */
  onFinding?: (finding: NamedFinding) => void;
  /** How long all checks may take together, in milliseconds. */
  totalMs?: number;
}

/**
 * Runs checks side by side, each as soon as those that it needs have not failed, and gives what
 * they found in their order. A check whose need has failed is skipped.
 */
export async function runChecks(
  checks: readonly Check[],
  { onFinding = () => {}, totalMs = TOTAL_LIMIT_MS }: RunOptions = {},
): Promise<NamedFinding[]> {
  const endMs = performance.now() + totalMs;
  const outcomes = new Map<string, Promise<Outcome>>();
  for (const check of checks) {
    const needs = (check.needs ?? []).map((name) => ({ name, outcome: outcomes.get(name) }));
    outcomes.set(check.name, runWhenPossible(check, needs, endMs));
  }
  const findings: NamedFinding[] = [];
  for (const [check, outcome] of outcomes) {
    const finding = { check, ...(await outcome).finding };
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
  );
  return { finding, passable: finding.status !== "fail" };
}

async function runWithin(check: Check, limitMs: number): Promise<Finding> {
  const limit = new AbortController();
  const late = Promise.withResolvers<Finding>();
  const timer = setTimeout(() => {
    const found = `no result within ${Math.round(limitMs / 100) / 10} s`;
    late.resolve({ status: "fail", found, ...(check.lateMend ? { mend: check.lateMend } : {}) });
    limit.abort();
  }, limitMs);
  const run = async () => await check.run(limit.signal);
  try {
    return await Promise.race([run().catch(failureOf), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
