import { UserError } from "../system/user_error.ts";
import type { TaskContext, TaskOutcome } from "../tasks/task_type.ts";
import { afterAll } from "./after_all.ts";
import type { ChangeRequest } from "./change_request.ts";
import { type DnfEnd, LOCKED, runDnf } from "./dnf.ts";
import { searchDnf } from "./dnf_search.ts";
import { LockPatience } from "./lock_patience.ts";
import type { PackageManager } from "./package_manager.ts";
import { queriesOf } from "./query.ts";
import { auditRpm, failedScripts, scriptsSentence } from "./rpm_audit.ts";
import { readRpm, rpmChanges, type RpmRecord } from "./rpm_database.ts";
import { holderAmong, rpmLocks } from "./rpm_locks.ts";
import { installedAs, parseRpmRequest } from "./rpm_names.ts";

/** rpm must never be cut short: it may take so long to finish a transaction, in milliseconds. */
const LEAVE_MS = 600_000;

/** rpm and what drives it here: `dnf` is its name, undefined where there is rpm alone. */
export function dnfManager(dnf: string | undefined): PackageManager {
  return {
    leaveMs: LEAVE_MS,
    list: async (query) =>
      (await readRpm(query)).map(({ nevra: _, ...each }) => each)
        .sort((a, b) => a.name < b.name ? -1 : Number(a.name > b.name)),
    search: (words, query) => searchDnf(words, query, needed(dnf)),
    parse: parseRpmRequest,
    change: (request, context, leaveMs) => change(request, context, leaveMs, needed(dnf)),
    audit: (context) => auditRpm(context, needed(dnf)),
  };
}

function needed(dnf: string | undefined): string {
  if (dnf !== undefined) return dnf;
  throw new UserError("package changes and searches need dnf, and this machine has rpm alone");
}

async function change(
  request: ChangeRequest,
  context: TaskContext,
  leaveMs: number,
  dnf: string,
): Promise<TaskOutcome> {
  const { end, before } = await runUnlocked(request, context, leaveMs, dnf);
  return await afterAll(context, async (later) => {
    const after = await readRpm(queriesOf(later)).catch(() => before);
    const result = { ...request, changed: rpmChanges(before, after) };
    const { exitCode, said } = end;
    const scripts = scriptsSentence(failedScripts(said), dnf);
    const error = end.error ?? scripts;
    if (error === undefined && !context.signal.aborted) {
      return { status: "success", exitCode, result };
    }
    const broken = await auditRpm(later, dnf);
    const aftermath = [scripts === error ? undefined : scripts, broken]
      .filter((sentence) => sentence !== undefined).join("; ");
    return {
      status: "failed",
      exitCode,
      result,
      ...(error === undefined ? {} : { error }),
      ...(aftermath === "" ? {} : { aftermath }),
    };
  });
}

/** Runs dnf when nobody else changes packages: dnf 5 fails at once, and dnf 4 would wait for ever. */
async function runUnlocked(
  request: ChangeRequest,
  context: TaskContext,
  leaveMs: number,
  dnf: string,
): Promise<{ end: DnfEnd; before: RpmRecord[] }> {
  const query = queriesOf(context);
  const locks = await rpmLocks(query);
  const patience = new LockPatience(context, "rpm");
  for (;;) {
    await patience.untilFree(() => holderAmong(locks));
    const before = await readRpm(query);
    const args = await argumentsFor(request, before, context);
    if (args.length === 0) return { end: { exitCode: 0, error: undefined, said: "" }, before };
    const options = ["-y", "--best", "--setopt=exit_on_lock=True"];
    const verb = request.operation === "install" ? "install" : "remove";
    const end = await runDnf([dnf, ...options, verb, ...args], context, leaveMs);
    if (end.exitCode === 0 || context.signal.aborted) return { end, before };
    const holder = holderAmong(locks);
    const locked = end.exitCode === LOCKED || holder !== undefined;
    if (!locked || !await patience.again(holder)) return { end, before };
  }
}

/** To remove a name, dnf would also remove what merely provides it: it gets the packages themselves. */
async function argumentsFor(
  { operation, names }: ChangeRequest,
  installed: RpmRecord[],
  { onLines, privileges, signal }: TaskContext,
): Promise<string[]> {
  if (operation === "install") return names;
  const refusal = await privileges.allows("operational", signal);
  if (refusal !== undefined) throw new UserError(refusal);
  const records = new Set<RpmRecord>();
  for (const name of names) {
    const found = installedAs(name, installed);
    if (found.length === 0) await onLines("system", `[${name} is not installed]\n`);
    for (const record of found) records.add(record);
  }
  return [...records].map(({ nevra }) => nevra);
}
