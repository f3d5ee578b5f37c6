import { UserError } from "../system/user_error.ts";
import { type Found, MAX_RESULTS, type Package } from "./package_manager.ts";
import type { Query } from "./query.ts";
import { reasonsOf } from "./dnf.ts";

/** dnf 5 ends no record by itself, dnf 4 ends each with one more newline: empty lines are left out. */
const FORMAT = ["%{name}", "%{evr}", "%{arch}", "%{summary}"].join("\t") + "\n";
/** A question, about a key for instance, is answered with no. */
const ASK = ["--assumeno", "-q", "repoquery", "--latest-limit=1", "--queryformat", FORMAT];

/**
 * Searches what can be installed: dnf tells the newest version of everything, in a format of its own
 * for programs, and the words are looked for here, in names and summaries. What dnf has in its cache
 * is believed, however old it is, as with apt; only where it has none does it ask the repositories.
 *
 * @throws {UserError} if dnf fails.
 */
export async function searchDnf(words: string[], query: Query, dnf: string): Promise<Found> {
  const cached = await query(dnf, "--cacheonly", ...ASK);
  const isCached = cached.exitCode === 0 && cached.stdout.trim() !== "";
  const { exitCode, stdout, stderr } = isCached ? cached : await query(dnf, ...ASK);
  if (exitCode !== 0) throw new UserError(`${dnf} repoquery failed: ${reasonsOf("", stderr)}`);
  const low = words.map((word) => word.toLowerCase());
  const hits = parse(stdout).filter(({ name, description }) => {
    const text = `${name}\n${description}`.toLowerCase();
    return low.every((word) => text.includes(word));
  });
  const ranked = hits.sort((a, b) => rank(a, low) - rank(b, low));
  return { found: hits.length, byName: false, results: ranked.slice(0, MAX_RESULTS) };
}

function parse(text: string): Package[] {
  return text.split("\n").flatMap((line) => {
    const [name, evr, architecture, ...summary] = line.split("\t");
    if (!name || evr === undefined || architecture === undefined) return [];
    const version = evr.replace(/^0:/, "");
    return [{ name, version, architecture, description: summary.join(" ") }];
  });
}

/** Who is called by a word comes first, then who has all words in the name. */
function rank({ name }: Package, words: string[]): number {
  const low = name.toLowerCase();
  if (words.includes(low)) return 0;
  return words.every((word) => low.includes(word)) ? 1 : 2;
}
