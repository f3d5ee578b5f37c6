import { messageOf } from "../system/user_error.ts";
import type { TaskContext } from "../tasks/task_type.ts";
import type { Operation } from "./change_request.ts";
import type { Change } from "./changes.ts";
import { NO_SUCH_PROGRAM, type Query } from "./query.ts";
import { readRpm, verifyRpm } from "./rpm_database.ts";

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
