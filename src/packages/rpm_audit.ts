import { messageOf } from "../system/user_error.ts";
import type { TaskContext } from "../tasks/task_type.ts";
import { NO_SUCH_PROGRAM, queriesOf } from "./query.ts";
import { readRpm } from "./rpm_database.ts";

/** How dnf and rpm name a package whose script has failed: dnf 4, then rpm itself. */
const FAILED_SCRIPT =
  /^Error in \w+ scriptlet in rpm package (\S+)$|%\w+\(([^\s)]+)\) scriptlet failed/gm;
/** So many packages are told by name. */
const MAX_NAMES = 10;

/** What dnf finds, each with what repairs it. */
const CHECKS = [
  ["--duplicates", "packages are there twice", "remove --duplicates"],
  ["--dependencies", "packages lack what they need", "distro-sync"],
] as const;

/** The packages whose scripts have failed, by what dnf and rpm have said of them. */
export function failedScripts(said: string): string[] {
  return [...new Set([...said.matchAll(FAILED_SCRIPT)].map(([, dnf, rpm]) => dnf ?? rpm ?? ""))];
}

/** Says how the scripts are run again. */
export function scriptsSentence(names: string[], dnf: string): string | undefined {
  if (names.length === 0) return undefined;
  const shown = names.slice(0, MAX_NAMES);
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : "";
  return `scripts of ${shown.join(", ")}${more} failed: run "${dnf} reinstall ${
    shown.join(" ")
  }" to run them again`;
}

/**
 * Has dnf say in the log what is broken, whoever has left it so; the sentence returned says how to
 * repair it. There is none if nothing is.
 */
export async function auditRpm(context: TaskContext, dnf: string): Promise<string | undefined> {
  const query = queriesOf(context);
  try {
    await readRpm(query);
  } catch (error) {
    return messageOf(error);
  }
  // microdnf has no check.
  if (dnf === "microdnf") return undefined;
  const sentences: string[] = [];
  for (const [check, what, repair] of CHECKS) {
    const { exitCode, stdout } = await query(dnf, "--assumeno", "-q", "check", check);
    if (exitCode === 0 || exitCode === NO_SUCH_PROGRAM || stdout.trim() === "") continue;
    await context.onLines("system", stdout);
    sentences.push(`${what}: run "${dnf} ${repair}" to repair it`);
  }
  if (sentences.length === 0) return undefined;
  const sentence = sentences.join("; ");
  await context.onLines("system", `[${sentence}]\n`);
  return sentence;
}
