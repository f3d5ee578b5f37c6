import * as z from "@zod/zod";
import { UserError } from "../system/user_error.ts";
import type { TaskOutcome, TaskType } from "../tasks/task_type.ts";
import type { Package } from "./dpkg.ts";
import { needsApt, NO_SUCH_PROGRAM, queriesOf, type Query } from "./query.ts";

/** A search may hit half of the archive; the page waits 10 s and nobody reads on (contract: Types). */
const MAX_RESULTS = 200;
/** How long a search may take, in milliseconds; apt has no limit of its own. */
const LIMIT_MS = 30_000;

const Term = z.string().refine((text) => !text.includes("\0"), "must not contain NUL").nullish();
const PackageSearch = z.looseObject({ query: Term, term: Term })
  .transform(({ query, term }) => (query?.trim() || term?.trim() || "").split(/\s+/))
  .superRefine((words, context) => {
    if (words[0] === "") context.addIssue({ code: "custom", path: ["query"], message: EMPTY });
    const option = words.find((word) => word.startsWith("-"));
    if (option === undefined) return;
    const message = `a word must not start with "-", as ${JSON.stringify(option)} does`;
    context.addIssue({ code: "custom", path: ["query"], message });
  });
const EMPTY = "must hold at least one word to search for";

/** `packageSearch`: packages whose name or description holds every word (contract: Types). */
export const packageSearch: TaskType = packageSearchWithin(LIMIT_MS);

/** {@linkcode packageSearch} with a limit of its own. */
export function packageSearchWithin(limitMs: number): TaskType {
  return {
    prepare(payload) {
      const words = PackageSearch.parse(payload);
      return async (context): Promise<TaskOutcome> => {
        const limit = new AbortController();
        const tooLong = `the search takes more than ${limitMs / 1_000} s: use longer or more words`;
        const timer = setTimeout(() => limit.abort(new UserError(tooLong)), limitMs);
        const signal = AbortSignal.any([context.signal, limit.signal]);
        try {
          const found = await searchPackages(words, queriesOf({ ...context, signal }));
          await context.onLines("stdout", `${summary(found)}\n`);
          return { status: "success", exitCode: 0, result: { results: found.results } };
        } finally {
          clearTimeout(timer);
        }
      };
    },
  };
}

function summary({ found, byName, results }: Found): string {
  const cut = found > results.length ? `, the first ${results.length} are listed` : "";
  return `${found} packages match${byName ? " by their name" : ""}${cut}`;
}

/** What a search has found. */
export interface Found {
  /** How many packages. */
  found: number;
  /** Whether there are so many names with all the words that no description was looked at. */
  byName: boolean;
  /** The first of them. */
  results: Package[];
}

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
  const byName = hits.filter((hit) => rank(hit, words) < 2).length >= MAX_RESULTS;
  if (!byName) hits = parseHits(await ask(query, "search", "--", ...patterns));
  const ranked = hits.sort((a, b) => rank(a, words) - rank(b, words)).slice(0, MAX_RESULTS);
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

function rank({ name }: Hit, words: string[]): number {
  if (words.some((word) => word.toLowerCase() === name)) return 0;
  return words.every((word) => name.includes(word.toLowerCase())) ? 1 : 2;
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
