import * as z from "@zod/zod";
import { writeFileAtomic } from "../system/atomic_file.ts";
import { readOwn } from "../system/own_file.ts";
import { UserError } from "../system/user_error.ts";
import type { TaskContext } from "../tasks/task_type.ts";
import {
  type ChangeEnd,
  type ChangeRequest,
  changesBetween,
  type PackageManager,
} from "./package_manager.ts";
import { dnfLeaves, runDnf, searchDnf } from "./dnf.ts";
import { contextsOf } from "./run_manager.ts";
import { whenUnlocked } from "./lock_patience.ts";
import { queriesOfChange } from "./query.ts";
import { auditRpm, readRpm, rpmLocks, RpmRecord, scriptsSentence } from "./rpm_database.ts";
import { installedAs, parseRpmRequest } from "./rpm_names.ts";

/** How long dnf may take behind a transaction, or to leave before one: for its own records, plugins. */
const LEAVE_MS = 600_000;

/** rpm and what drives it here: `dnf` is its name, undefined where there is rpm alone. */
export function dnfManager(dnf: string | undefined): PackageManager {
  return {
    name: dnf ?? "rpm",
    leaveMs: LEAVE_MS,
    hurry: `run "${dnf} makecache" as root`,
    list: async (query) =>
      (await readRpm(query)).map(({ id: _id, nevra: _nevra, ...each }) => each)
        .sort((a, b) => a.name < b.name ? -1 : Number(a.name > b.name)),
    search: (words, query) => searchDnf(words, query, needed(dnf)),
    parse: parseRpmRequest,
    leaving: (context, leaveMs) => dnfLeaves(needed(dnf), context, leaveMs),
    change: (request, context, leaveMs) => change(request, context, leaveMs, needed(dnf)),
    locks: rpmLocks,
    audit: (query, onLines, changed) => auditRpm(query, onLines, dnf, changed),
  };
}

function needed(dnf: string | undefined): string {
  if (dnf !== undefined) return dnf;
  throw new UserError(
    "package changes and searches need dnf, and this machine has rpm without it " +
      '(where there is microdnf: run "microdnf install dnf")',
  );
}

async function change(
  request: ChangeRequest,
  context: TaskContext,
  leaveMs: number,
  dnf: string,
): Promise<ChangeEnd> {
  const query = queriesOfChange(context);
  const next = contextsOf(context);
  const attempt = async () => {
    const now = next();
    const { takenUp } = now;
    const before = takenUp ? await readNote(now) : await readRpm(query);
    const args = takenUp ? [] : await argumentsFor(request, before ?? [], now);
    if (args && !takenUp) await writeNote(now, before);
    const nothing = { exitCode: 0, error: undefined, scripts: [], locked: "no" as const };
    const end = args ? await runDnf([dnf, ...args], now, leaveMs) : nothing;
    const isUnchanged = async () => {
      const after = await readRpm(query).catch(() => undefined);
      return before !== undefined && after !== undefined &&
        changesBetween(before, after).length === 0;
    };
    const locked = end.locked === "yes" || end.locked === "perhaps" && await isUnchanged();
    return { ...end, locked, before };
  };
  const { exitCode, error, scripts, before } = await whenUnlocked(
    await rpmLocks(query),
    context,
    attempt,
  );
  return {
    exitCode,
    error,
    changed: async (query) => {
      if (!before) throw new UserError("there is no look from before");
      return changesBetween(before, await readRpm(query));
    },
    broken: async (query) => {
      if (scripts.length === 0) return undefined;
      // Where it cannot be seen whether they are there it is told how they would be repaired.
      const installed = await readRpm(query).catch(() => undefined);
      const there = installed
        ? scripts.filter((name) => installedAs(name, installed).length > 0)
        : scripts;
      return scriptsSentence(request.operation, scripts, there, dnf);
    },
  };
}

/** Writes down for a later agent what there is; without room it will not know what has changed. */
async function writeNote({ note }: TaskContext, before: RpmRecord[] | undefined): Promise<void> {
  const text = JSON.stringify(before ?? null);
  await writeFileAtomic(note("before"), text, { isOwn: true, syncFolder: false }).catch(() => {});
}

/** What there was before an earlier agent has started dnf; undefined if it could not say. */
async function readNote({ note }: TaskContext): Promise<RpmRecord[] | undefined> {
  try {
    return z.array(RpmRecord).parse(JSON.parse(await readOwn(note("before"))));
  } catch {
    return undefined;
  }
}

/**
 * What dnf is told; undefined if there is nothing to do. To remove a name, dnf would also remove what
 * merely provides it: it gets the packages themselves.
 */
async function argumentsFor(
  { operation, names }: ChangeRequest,
  installed: RpmRecord[],
  { onLines, privileges, signal }: TaskContext,
): Promise<string[] | undefined> {
  if (operation === "install") return ["--best", "install", ...names];
  const refusal = await privileges.allows("operational", signal);
  if (refusal !== undefined) throw new UserError(refusal);
  const records = new Set<RpmRecord>();
  for (const name of names) {
    const found = installedAs(name, installed);
    if (found.length === 0) await onLines("system", `[${name} is not installed]\n`);
    for (const record of found) records.add(record);
  }
  return records.size > 0 ? ["remove", ...Array.from(records, ({ nevra }) => nevra)] : undefined;
}
