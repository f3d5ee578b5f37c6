import { UserError } from "../system/user_error.ts";
import type { Package } from "./package_manager.ts";
import { NO_SUCH_PROGRAM, type Query } from "./query.ts";

/** A package in rpm's database. */
export interface RpmRecord extends Package {
  /** Its name with its architecture; there may be more than one version of it. */
  id: string;
  /** name-epoch:version-release.architecture, which dnf takes for this one package. */
  nevra: string;
}

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
