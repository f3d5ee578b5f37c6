import { UserError } from "../system/user_error.ts";
import { readDpkg } from "./dpkg.ts";
import { type DpkgEntry, readStatusFile } from "./dpkg_status.ts";
import type { Package } from "./package_manager.ts";
import { needsApt, NO_SUCH_PROGRAM, type Query } from "./query.ts";

/** A package that waits for a trigger is in place; only something that it has set off is not done. */
const INSTALLED = new Set(["installed", "triggers-pending", "triggers-awaited"]);

/** The installed packages, from dpkg's own file where that tells, else {@linkcode installedPackages}. */
export async function listPackages(query: Query): Promise<Package[]> {
  const records = await readStatusFile();
  return records ? installed(records) : await installedPackages(query);
}

/**
 * The installed packages, from dpkg's database query or, where it is not there, from the first of
 * `dpkg -l` and `apt list` that succeeds.
 *
 * @throws {UserError} where there is none of them, or none succeeds.
 */
export async function installedPackages(query: Query): Promise<Package[]> {
  const records = await readDpkg(query);
  if (records) return installed(records);
  const parsers = [
    [["dpkg", "-l"], parseDpkgColumns],
    [["apt", "list", "--installed"], parseAptList],
  ] as const;
  let failure = needsApt();
  for (const [argv, parse] of parsers) {
    const { exitCode, stdout, stderr } = await query(...argv);
    if (exitCode === 0) return parse(stdout);
    if (exitCode !== NO_SUCH_PROGRAM) {
      failure = new UserError(`${argv.join(" ")} failed: ${stderr.trim()}`);
    }
  }
  throw failure;
}

function installed(records: DpkgEntry[]): Package[] {
  return records.filter(({ status }) => INSTALLED.has(status)).map((
    { name, version, architecture, description },
  ) => ({ name, version, architecture, description }));
}

/** `ii  libc6:amd64  2.36-9  amd64  GNU C Library`: what is wished, how it is, errors, fields. */
export function parseDpkgColumns(text: string): Package[] {
  return parseLines(text, /^[uihrp][iWt][ R] +(\S+) +(\S+) +(\S+) *(.*)$/gm);
}

/** `libc6/stable,now 2.36-9 amd64 [installed]`; descriptions are not told. */
export function parseAptList(text: string): Package[] {
  return parseLines(text, /^([^/\s]+)\/\S* (\S+) (\S+) \[[^\]]*installed/gm);
}

function parseLines(text: string, line: RegExp): Package[] {
  return [...text.matchAll(line)].map((
    [, name = "", version = "", architecture = "", description = ""],
  ) => ({ name: name.replace(/:.*/, ""), version, architecture, description }));
}
