import { distance } from "fastest-levenshtein";

/** What people call commands elsewhere, and what such a command is called here. */
const MEANINGS: Record<string, string> = {
  check: "doctor",
  diagnose: "doctor",
  delete: "unset",
  health: "status",
  info: "status",
  journal: "logs",
  log: "logs",
  login: "enroll",
  ps: "status",
  register: "enroll",
  reload: "restart",
  remove: "uninstall",
  setup: "install",
  settings: "config",
  tail: "logs",
  upgrade: "update",
};

/** The candidate that `word` was probably meant to be; undefined if none is like it. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const meant = MEANINGS[word];
  if (meant !== undefined && candidates.includes(meant)) return meant;
  const begun = word.length >= 3 ? candidates.filter((each) => each.startsWith(word)) : [];
  const [best] = (begun.length > 0 ? begun : candidates)
    .filter((each) => begun.length > 0 || distance(word, each) <= Math.min(3, each.length / 2))
    .toSorted((a, b) => distance(word, a) - distance(word, b));
  return best;
}
