import type { TaskContext } from "../task_type.ts";
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
/** How dpkg's audit begins while somebody else changes packages. */
const LOCKED = "Another process has locked the database";

/** The packages that a change between two looks at dpkg's database has left unfinished. */
export function brokenBetween(before: DpkgRecord[], after: DpkgRecord[]): DpkgRecord[] {
  const was = new Map(before.map(({ id, status }) => [id, status]));
  return after.filter(({ id, status }) => BROKEN.has(status) && was.get(id) !== status);
}

/**
 * Has dpkg say in the log what is wrong with these packages; the sentence returned says how to mend
 * it. There is none if nothing is broken, or if somebody else may be about to finish it.
 */
export async function tellBroken(
  broken: DpkgRecord[],
  query: Query,
  onLines: TaskContext["onLines"],
): Promise<string | undefined> {
  if (broken.length === 0) return undefined;
  const { stdout } = await query("dpkg", "--audit", ...broken.map(({ id }) => id));
  const sentence = stdout.includes(LOCKED) ? undefined : mendingSentence(broken);
  await onLines("system", sentence === undefined ? stdout : `${stdout}[${sentence}]\n`);
  return sentence;
}

/** A package that is not even unpacked cannot be configured: it has to be installed again. */
function mendingSentence(broken: DpkgRecord[]): string {
  const lost = broken.filter(({ status }) => status === "half-installed").map(({ id }) => id);
  const commands = [
    ...(lost.length < broken.length ? ['"dpkg --configure -a"'] : []),
    ...(lost.length > 0 ? [`"apt-get install --reinstall ${lost.join(" ")}"`] : []),
  ];
  const names = broken.map(({ id }) => id).join(", ");
  return `dpkg has left ${names} half done: run ${commands.join(", then ")} to mend it`;
}
