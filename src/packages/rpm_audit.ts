import { messageOf } from "../system/user_error.ts";
import type { TaskContext } from "../tasks/task_type.ts";
import type { Change } from "./changes.ts";
import { NO_SUCH_PROGRAM, type Query } from "./query.ts";
import { readRpm } from "./rpm_database.ts";

/** How a package is named whose script has failed: by dnf 4, by dnf 5, by rpm itself. */
const FAILED_SCRIPT =
  /^Error in \w+ scriptlet in rpm package (\S+)$|rror in %\w+ scriptlet: (\S+)$|%\w+\(([^\s)]+)\) scriptlet failed/gm;
/** So many packages are told by name. */
const MAX_NAMES = 10;

/** What dnf finds, each with what repairs it. */
const CHECKS = [
  ["--duplicates", "packages are there twice", "remove --duplicates"],
  ["--dependencies", "packages lack what they need", "distro-sync"],
] as const;

/** The packages whose scripts have failed, by what dnf and rpm have said of them. */
export function failedScripts(said: string): string[] {
  const names = said.matchAll(FAILED_SCRIPT);
  return [...new Set([...names].map(([, dnf4, dnf5, rpm]) => dnf4 ?? dnf5 ?? rpm ?? ""))];
}

/** Says how the scripts are run again. */
export function scriptsSentence(packages: string[], dnf: string): string | undefined {
  if (packages.length === 0) return undefined;
  return `scripts of ${listed(packages)} failed: ${again(packages, dnf)} to run them again`;
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
  if (dnf === undefined) return undefined;
  const sentences: string[] = [];
  for (const [check, what, repair] of CHECKS) {
    const { exitCode, stdout } = await query(dnf, "--assumeno", "-q", "check", check);
    if (exitCode === 0 || exitCode === NO_SUCH_PROGRAM || stdout.trim() === "") continue;
    await onLines("system", stdout);
    sentences.push(`${what}: run "${dnf} ${repair}" to repair it`);
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
