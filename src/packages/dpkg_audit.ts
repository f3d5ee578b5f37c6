import type { TaskContext } from "../tasks/task_type.ts";
import type { DpkgRecord } from "./dpkg.ts";
import type { Query } from "./query.ts";

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
