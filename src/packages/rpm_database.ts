import * as z from "@zod/zod";
import { messageOf, UserError } from "../system/user_error.ts";
import type { Change, Operation, Package } from "./package_manager.ts";
import { NO_SUCH_PROGRAM, type Query } from "./query.ts";
import type { TaskContext } from "../tasks/task_type.ts";
import type { Locks } from "./lock_patience.ts";

/** A package in rpm's database. */
export const RpmRecord = z.object({
  name: z.string(),
  version: z.string(),
  architecture: z.string(),
  description: z.string(),
  /** Its name with its architecture; there may be more than one version of it. */
  id: z.string(),
  /** name-epoch:version-release.architecture, which dnf takes for this one package. */
  nevra: z.string(),
}) satisfies z.ZodType<Package>;
/** A package in rpm's database. */
export type RpmRecord = z.infer<typeof RpmRecord>;

const FIELDS = ["NAME", "EPOCHNUM", "VERSION", "RELEASE", "ARCH", "SUMMARY"];
/** The query format that {@linkcode parseRpm} reads; the summary comes last, as it might hold a tab. */
export const RPM_FORMAT: string = FIELDS.map((name) => `%{${name}}`).join("\\t") + "\\n";
/** Keys that packages are verified with are kept as if they were packages. */
const KEY = "gpg-pubkey";
/** Not root, and who meets another's lock, may not look. */
const DAMAGE = /^error: (?!can't create)/m;
/** What repairs a database that cannot be read. */
const REBUILD =
  'run "rpm --rebuilddb" to repair it, and take its folder from a backup if that fails';

/**
 * Reads rpm's database.
 *
 * @throws {UserError} with the command that repairs it, if rpm cannot.
 */
export async function readRpm(query: Query): Promise<RpmRecord[]> {
  const { exitCode, stdout, stderr } = await query("rpm", "-qa", "--qf", RPM_FORMAT);
  if (exitCode === NO_SUCH_PROGRAM) throw new UserError("package tasks need rpm here");
  // rpm answers from what it can still read of a damaged database, and succeeds.
  if (exitCode !== 0 || /^error: /m.test(stderr)) {
    const reason = stderr.trim().split("\n")[0] || `exit code ${exitCode}`;
    throw new UserError(`rpm cannot read its database (${reason}): ${REBUILD}`);
  }
  return parseRpm(stdout);
}

/**
 * Has rpm look through its database: a list is read without the indexes that a change needs. Says how
 * it is repaired; undefined if nothing is wrong.
 */
export async function verifyRpm(query: Query): Promise<string | undefined> {
  const { exitCode, stderr } = await query("rpm", "--verifydb");
  if (exitCode === 0 || exitCode === NO_SUCH_PROGRAM || !DAMAGE.test(stderr)) return undefined;
  return `rpm's database is damaged (${stderr.trim().replace(/\s+/g, " ")}): ${REBUILD}`;
}

/** Reads what rpm prints in the format of {@linkcode readRpm}. */
export function parseRpm(text: string): RpmRecord[] {
  return text.split("\n").flatMap((line) => {
    const [name, epoch = "0", number, release, arch, ...summary] = line.split("\t");
    if (!name || name === KEY || number === undefined || release === undefined) return [];
    if (arch === undefined) return [];
    return [{
      id: `${name}.${arch}`,
      nevra: `${name}-${epoch}:${number}-${release}.${arch}`,
      name,
      version: `${epoch === "0" ? "" : `${epoch}:`}${number}-${release}`,
      architecture: arch,
      description: summary.join(" "),
    }];
  });
}

/** How a package is named whose script has failed: by dnf 4, by dnf 5, by rpm itself. */
const FAILED_SCRIPT =
  /^Error in \w+ scriptlet in rpm package (\S+)$|rror in %\w+ scriptlet: (\S+)$|%\w+\(([^\s)]+)\) scriptlet failed/gm;
/** So many packages are told by name. */
const MAX_NAMES = 10;

/** How dnf's check names a package that lacks what it needs: dnf 4 in one line, dnf 5 by a heading. */
const LACKING = /^(\S+-\S+-\S+\.\w+)(?: has missing requires .*)?$/gm;

/** The packages whose scripts have failed, by what dnf and rpm have said of them. */
export function failedScripts(said: string): string[] {
  const names = said.matchAll(FAILED_SCRIPT);
  return [...new Set([...names].map(([, dnf4, dnf5, rpm]) => dnf4 ?? dnf5 ?? rpm ?? ""))];
}

/** Says which scripts have failed, and what to do about those of packages that are `there` now. */
export function scriptsSentence(
  operation: Operation,
  failed: string[],
  there: string[],
  dnf: string,
): string {
  const what = `scripts of ${listed(failed)} failed`;
  if (there.length === 0) return `${what}, and they are not installed now`;
  if (operation === "install") return `${what}: ${again(there, dnf)} to run them again`;
  return `${what}: run "rpm -e --noscripts ${there.join(" ")}" to remove them all the same`;
}

/**
 * Has rpm and dnf say in the log what is broken, whoever has left it so; the sentence returned says
 * how to repair it. There is none if nothing is. Of what has `changed` the files are looked at too.
 */
export async function auditRpm(
  query: Query,
  onLines: TaskContext["onLines"],
  dnf: string | undefined,
  changed: readonly Change[] = [],
): Promise<string | undefined> {
  try {
    await readRpm(query);
  } catch (error) {
    return messageOf(error);
  }
  const damage = await verifyRpm(query);
  if (dnf === undefined || damage !== undefined) return damage;
  const sentences: string[] = [];
  const check = async (what: string) => {
    const { exitCode, stdout } = await query(dnf, "--assumeno", "-q", "check", what);
    if (exitCode === 0 || exitCode === NO_SUCH_PROGRAM) return "";
    await onLines("system", stdout);
    return stdout;
  };
  if (await check("--duplicates")) {
    sentences.push(`packages are there twice: run "${dnf} remove --duplicates" to repair it`);
  }
  const lacking = Array.from(
    (await check("--dependencies")).matchAll(LACKING),
    ([, id = ""]) => id,
  );
  if (lacking.length > 0) {
    const names = [...new Set(lacking)];
    sentences.push(`${listed(names)} lack what they need: ${again(names, dnf)} to repair it`);
  }
  const lost: string[] = [];
  for (const { name } of changed.filter(({ to }) => to !== undefined).slice(0, MAX_NAMES)) {
    const { stdout } = await query("rpm", "--verify", "--nodeps", "--noscripts", "--", name);
    const missing = stdout.split("\n").filter((line) => line.startsWith("missing"));
    if (missing.length === 0) continue;
    await onLines("system", `${missing.join("\n")}\n`);
    lost.push(name);
  }
  if (lost.length > 0) {
    sentences.push(`files of ${listed(lost)} are missing: ${again(lost, dnf)} to repair it`);
  }
  if (sentences.length === 0) return undefined;
  const sentence = sentences.join("; ");
  await onLines("system", `[${sentence}]\n`);
  return sentence;
}

function listed(packages: string[]): string {
  const more = packages.length > MAX_NAMES ? ` and ${packages.length - MAX_NAMES} more` : "";
  return packages.slice(0, MAX_NAMES).join(", ") + more;
}

function again(packages: string[], dnf: string): string {
  return `run "${dnf} reinstall ${packages.slice(0, MAX_NAMES).join(" ")}"`;
}

/** What dnf 5 holds besides, from its start and during a transaction. */
const DNF5_LOCKS = ["/var/lib/dnf/system-repo.lock", "/run/dnf/rpmtransaction.lock"];

/** The lock that rpm holds during a transaction, whoever has started it; undefined without rpm. */
export async function transactionLock(query: Query): Promise<string | undefined> {
  const { exitCode, stdout } = await query("rpm", "--eval", "%{_rpmlock_path}");
  const path = stdout.trim();
  return exitCode === 0 && path.startsWith("/") ? path : undefined;
}

/** Every lock that a change of packages would meet. */
export async function rpmLocks(query: Query): Promise<Locks> {
  const lock = await transactionLock(query);
  return { what: "rpm", paths: lock === undefined ? DNF5_LOCKS : [lock, ...DNF5_LOCKS] };
}
