import { UserError } from "../system/user_error.ts";
import { type Found, MAX_RESULTS, type Package, rankOf } from "./package_manager.ts";
import { needsApt, NO_SUCH_PROGRAM, type Query } from "./query.ts";

interface Hit {
  name: string;
  description: string;
}

/**
 * Searches apt's cache. Packages that are called by a word come first, then those that have all
 * words in their name. If these are more than are told, descriptions are not searched: where apt
 * keeps its lists compressed, it takes 10 ms for every package that it finds so.
 *
 * @throws {UserError} where there is no apt-cache, or it fails.
 */
export async function searchPackages(
  words: string[],
  query: Query,
): Promise<Found> {
  const patterns = words.map(literally);
  let hits = parseHits(await ask(query, "search", "--names-only", "--", ...patterns));
  // Others are in there too: those that provide such a name.
  const byName = hits.filter((hit) => rankOf(hit, words) < 2).length >= MAX_RESULTS;
  if (!byName) hits = parseHits(await ask(query, "search", "--", ...patterns));
  const ranked = hits.sort((a, b) => rankOf(a, words) - rankOf(b, words)).slice(0, MAX_RESULTS);
  if (ranked.length === 0) return { found: 0, byName, results: [] };
  const names = ranked.map(({ name }) => name);
  const records = parseRecords(await ask(query, "show", "--no-all-versions", "--", ...names));
  const results = ranked.map(({ name, description }) => {
    const { version = "", architecture = "" } = records.get(name) ?? {};
    return { name: name.replace(/:.*/, ""), version, architecture, description };
  });
  return { found: hits.length, byName, results };
}

async function ask(query: Query, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await query("apt-cache", ...args);
  if (exitCode === NO_SUCH_PROGRAM) throw needsApt();
  // `show` fails when one of many names has no record; the others are told all the same.
  if (exitCode !== 0 && stdout === "") throw new UserError(`apt-cache failed: ${stderr.trim()}`);
  return stdout;
}

/** apt-cache takes a word for a POSIX extended regular expression. */
function literally(word: string): string {
  return word.replace(/[.[{()*+?^$|\\]/g, "\\$&");
}

function parseHits(text: string): Hit[] {
  return [...text.matchAll(/^(\S+) - (.*)$/gm)].map(([, name = "", description = ""]) => ({
    name,
    description,
  }));
}

/** The records of `apt-cache show` by name, and by `name:architecture` for foreign ones. */
function parseRecords(text: string): Map<string, Omit<Package, "name" | "description">> {
  const records = new Map<string, Omit<Package, "name" | "description">>();
  for (const record of text.split("\n\n")) {
    const field = (name: string) => new RegExp(`^${name}: *(.*)$`, "m").exec(record)?.[1] ?? "";
    const [name, version, architecture] = ["Package", "Version", "Architecture"].map(field);
    if (!name || version === undefined || architecture === undefined) continue;
    for (const key of [name, `${name}:${architecture}`]) {
      if (!records.has(key)) records.set(key, { version, architecture });
    }
  }
  return records;
}
