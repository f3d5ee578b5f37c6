import { UserError } from "../system/user_error.ts";
import type { Package } from "./package_manager.ts";
import { NO_SUCH_PROGRAM, type Query } from "./query.ts";

/** A package in dpkg's database. */
export interface DpkgRecord extends Package {
  /** Names it among the architectures too: `libc6:amd64`. */
  id: string;
  /** dpkg's word for its state: `installed`, `half-configured`, `config-files`, … */
  status: string;
}

/** The description comes last: it is the one field that might hold a tab. */
const FIELDS = [
  "${db:Status-Status}",
  "${binary:Package}",
  "${Package}",
  "${Version}",
  "${Architecture}",
  "${binary:Summary}",
];
/** The format of dpkg-query that {@linkcode parseDpkg} reads. */
export const DPKG_FORMAT: string = FIELDS.join("\\t") + "\\n";

/**
 * Reads dpkg's database; undefined where there is no dpkg-query.
 *
 * @throws {UserError} if dpkg-query fails.
 */
export async function readDpkg(query: Query): Promise<DpkgRecord[] | undefined> {
  const { exitCode, stdout, stderr } = await query("dpkg-query", "-W", "-f", DPKG_FORMAT);
  if (exitCode === NO_SUCH_PROGRAM) return undefined;
  if (exitCode !== 0) throw new UserError(`dpkg-query failed: ${stderr.trim()}`);
  return parseDpkg(stdout);
}

/** Reads what dpkg-query prints in {@linkcode DPKG_FORMAT}. */
export function parseDpkg(text: string): DpkgRecord[] {
  return text.split("\n").flatMap((line) => {
    const [status = "", id, name, version, architecture, ...description] = line.split("\t");
    if (!id || !name || version === undefined || architecture === undefined) return [];
    return [{ status, id, name, version, architecture, description: description.join(" ") }];
  });
}

/** States of a package whose files are not on the machine. */
const ABSENT = new Set(["not-installed", "config-files"]);

/** The packages whose files are on the machine. */
export function presentIn(records: DpkgRecord[]): DpkgRecord[] {
  return records.filter(({ status }) => !ABSENT.has(status));
}
