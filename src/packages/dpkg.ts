import { UserError } from "../system/user_error.ts";
import type { Package } from "./package_manager.ts";
import { NO_SUCH_PROGRAM, type Query } from "./query.ts";
import type { TaskContext } from "../tasks/task_type.ts";

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

/** States that a package is only left in by something that went wrong. */
const BROKEN = new Set([
  "half-installed",
  "unpacked",
  "half-configured",
  "triggers-pending",
  "triggers-awaited",
]);
/** So many packages are told by name; dpkg's audit in the log has all of them. */
const MAX_NAMES = 10;
/** How dpkg's audit begins while somebody else changes packages. */
const LOCKED = "Another process has locked the database";

/**
 * Has dpkg say in the log what is unfinished, whoever has left it so: apt fails over it again and
 * again. The sentence returned says how to repair it. There is none if nothing is broken, or if
 * somebody else may be about to finish it.
 */
export async function auditDpkg(
  records: DpkgRecord[],
  query: Query,
  onLines: TaskContext["onLines"],
): Promise<string | undefined> {
  const broken = records.filter(({ status }) => BROKEN.has(status));
  if (broken.length === 0) return undefined;
  const { stdout } = await query("dpkg", "--audit");
  const sentence = stdout.includes(LOCKED) ? undefined : repairSentence(broken);
  await onLines("system", sentence === undefined ? stdout : `${stdout}[${sentence}]\n`);
  return sentence;
}

/** A package that is not even unpacked cannot be configured: it has to be installed again. */
function repairSentence(broken: DpkgRecord[]): string {
  const lost = broken.filter(({ status }) => status === "half-installed").map(({ id }) => id);
  const commands = [
    ...(lost.length < broken.length ? ['"dpkg --configure -a"'] : []),
    ...(lost.length > 0
      ? [`"apt-get install --reinstall ${lost.slice(0, MAX_NAMES).join(" ")}"`]
      : []),
  ];
  const more = broken.length > MAX_NAMES ? ` and ${broken.length - MAX_NAMES} more packages` : "";
  const names = broken.slice(0, MAX_NAMES).map(({ id }) => id).join(", ") + more;
  return `dpkg has left ${names} half done: run ${commands.join(", then ")} to repair it`;
}
