import { UserError } from "../system/user_error.ts";
import type { Change, Package } from "./package_manager.ts";
import { NO_SUCH_PROGRAM, type Query } from "./query.ts";

/** A package in rpm's database. */
export interface RpmRecord extends Package {
  /** name-epoch:version-release.architecture, which dnf takes for this one package. */
  nevra: string;
}

const FIELDS = ["NAME", "EPOCHNUM", "VERSION", "RELEASE", "ARCH", "SUMMARY"];
/** The summary comes last: it is the one field that might hold a tab. */
const RPM_FORMAT = FIELDS.map((name) => `%{${name}}`).join("\\t") + "\\n";
/** Keys that packages are verified with are kept as if they were packages. */
const KEY = "gpg-pubkey";
/** What repairs a database that cannot be read. */
const REBUILD = 'run "rpm --rebuilddb" to repair it';

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

/** Reads what rpm prints in the format of {@linkcode readRpm}. */
export function parseRpm(text: string): RpmRecord[] {
  return text.split("\n").flatMap((line) => {
    const [name, epoch = "0", number, release, arch, ...summary] = line.split("\t");
    if (!name || name === KEY || number === undefined || release === undefined) return [];
    if (arch === undefined) return [];
    const version = `${epoch === "0" ? "" : `${epoch}:`}${number}-${release}`;
    const nevra = `${name}-${epoch}:${number}-${release}.${arch}`;
    return [{ nevra, name, version, architecture: arch, description: summary.join(" ") }];
  });
}

/** What differs between two looks at rpm's database; a package may be there in more versions. */
export function rpmChanges(before: RpmRecord[], after: RpmRecord[]): Change[] {
  const gone = kindsOf(before, after);
  const come = kindsOf(after, before);
  return [...new Set([...gone.keys(), ...come.keys()])].sort().flatMap((kind) => {
    const [from, to] = [gone.get(kind) ?? [], come.get(kind) ?? []];
    return Array.from({ length: Math.max(from.length, to.length) }, (_, index) => ({
      name: (to[index] ?? from[index])?.name ?? "",
      ...(from[index] ? { from: from[index].version } : {}),
      ...(to[index] ? { to: to[index].version } : {}),
    }));
  });
}

/** Those of the records that the others do not have, by name and architecture. */
function kindsOf(records: RpmRecord[], others: RpmRecord[]): Map<string, RpmRecord[]> {
  const known = new Set(others.map(({ nevra }) => nevra));
  return Map.groupBy(
    records.filter(({ nevra }) => !known.has(nevra)),
    ({ name, architecture }) => `${name}.${architecture}`,
  );
}
