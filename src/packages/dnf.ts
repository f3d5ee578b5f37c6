import { findTaskProcesses } from "../hosts/process_table.ts";
import type { TaskContext } from "../tasks/task_type.ts";
import { holderAmong } from "./lock_patience.ts";
import { PLAIN, queriesOfChange, type Query } from "./query.ts";
import { failedScripts, rpmLocks, transactionLock } from "./rpm_database.ts";
import { type Leaving, runManager } from "./run_manager.ts";
import { UserError } from "../system/user_error.ts";
import { type Found, MAX_RESULTS, type Package, rankOf } from "./package_manager.ts";

/** So much is told as the reason. */
const MAX_REASON = 1_000;
/** Scripts of packages and rpm itself may open so much: rpm closes all that might be open, one by one. */
const LIMITED = ["/bin/sh", "-c", 'ulimit -S -n 1024 2>/dev/null; exec "$0" "$@"'] as const;
/**
 * Nobody is there to answer, and a lock is waited for by the agent. The newest version is meant, or a
 * failure: else dnf 4 is content with an old one that is installed.
 */
const UNATTENDED = ["-y", "--setopt=exit_on_lock=True", "--setopt=color=never"];
/** dnf 4's word for a lock that somebody else holds. */
const LOCKED = 200;
/** How dnf 5 shows its progress, and what it advises people to type: on standard error, too. */
const NO_REASONS =
  /^(?:\[ *\d+\/\d+\] .*|-+|(?:Updating and|Repositories|Total size|After this|Running|Warning: skipped|You can try|\(try to) .*| +--\S+ to .*)$/gm;

/** What dnf 4 says on standard output of a versionlock or an exclude. */
const LEFT_OUT = /^All matches were filtered out .*$/gm;

/** How dnf ended. */
export interface DnfEnd {
  /** Its exit code. */
  exitCode: number;
  /** Why it failed; undefined if it did not, though scripts of packages may have. */
  error: string | undefined;
  /** The packages whose scripts have failed. */
  scripts: string[];
  /**
   * Whether it met somebody else's lock, and has done nothing; "perhaps" if it failed while somebody
   * held one: then it has only if nothing has changed.
   */
  locked: "yes" | "perhaps" | "no";
}

/** How dnf leaves: a transaction of rpm that has begun is left to finish. */
export async function dnfLeaves(
  name: string,
  context: TaskContext,
  leaveMs: number,
): Promise<Leaving> {
  const lock = await transactionLock(queriesOfChange(context));
  return {
    name,
    backend: "rpm",
    leaveMs,
    isAtWork: async (program) => {
      const holder = lock === undefined ? undefined : holderAmong([lock]);
      if (!holder) return false;
      const { processes } = await findTaskProcesses(context.taskId, program);
      return processes.some(({ pid }) => pid === holder.pid);
    },
  };
}

/**
 * Runs dnf. When the task is to end, a transaction of rpm that has begun is left to finish; else dnf
 * leaves at once.
 *
 * @throws {UserError} where it may not be run.
 */
export async function runDnf(
  [dnf, ...args]: [program: string, ...args: string[]],
  context: TaskContext,
  leaveMs: number,
): Promise<DnfEnd> {
  const leaves = await dnfLeaves(dnf, context, leaveMs);
  const locks = await rpmLocks(queriesOfChange(context));
  const end = await runManager({
    argv: [...LIMITED, dnf, ...UNATTENDED, ...args],
    ...leaves,
    env: { ...PLAIN, TERM: "dumb" },
    reasons: reasonsOf,
  }, context);
  const { exitCode, error } = end;
  const scripts = failedScripts(end.stdout + end.stderr);
  // dnf 5 has no exit code of its own for it.
  const seen = exitCode !== 0 && scripts.length === 0 && holderAmong(locks.paths) !== undefined;
  return {
    exitCode,
    error,
    scripts,
    locked: exitCode === LOCKED ? "yes" : seen ? "perhaps" : "no",
  };
}

/** What dnf gives as its reasons, in one line; what was left out on purpose is told elsewhere. */
export function reasonsOf(stdout: string, stderr: string): string {
  const leftOut = Array.from(stdout.matchAll(LEFT_OUT), ([line]) => line);
  return [...leftOut, stderr.replace(NO_REASONS, "")].join(" ").replace(/\s+/g, " ").trim()
    .slice(-MAX_REASON);
}

/** dnf 5 ends no record by itself, dnf 4 ends each with one more newline: empty lines are left out. */
const FORMAT = ["%{name}", "%{evr}", "%{arch}", "%{summary}"].join("\t") + "\n";
/** A question, about a key for instance, is answered with no. */
const ASK = ["--assumeno", "-q", "repoquery", "--latest-limit=1", "--queryformat", FORMAT];

/**
 * Searches what can be installed: dnf tells the newest version of everything, in a format of its own
 * for programs, and the words are looked for here, in names and summaries. What dnf has in its cache
 * is believed, however old it is, as with apt; only where it has none does it ask the repositories.
 *
 * @throws {UserError} if dnf fails.
 */
export async function searchDnf(words: string[], query: Query, dnf: string): Promise<Found> {
  const cached = await query(dnf, "--cacheonly", ...ASK);
  const isCached = cached.exitCode === 0 && cached.stdout.trim() !== "";
  const { exitCode, stdout, stderr } = isCached ? cached : await query(dnf, ...ASK);
  if (exitCode !== 0) throw new UserError(`${dnf} repoquery failed: ${reasonsOf("", stderr)}`);
  const low = words.map((word) => word.toLowerCase());
  const hits = parse(stdout).filter(({ name, description }) => {
    const text = `${name}\n${description}`.toLowerCase();
    return low.every((word) => text.includes(word));
  });
  const ranked = hits.sort((a, b) => rankOf(a, low) - rankOf(b, low));
  return { found: hits.length, byName: false, results: ranked.slice(0, MAX_RESULTS) };
}

function parse(text: string): Package[] {
  return text.split("\n").flatMap((line) => {
    const [name, evr, architecture, ...summary] = line.split("\t");
    if (!name || evr === undefined || architecture === undefined) return [];
    const version = evr.replace(/^0:/, "");
    return [{ name, version, architecture, description: summary.join(" ") }];
  });
}
