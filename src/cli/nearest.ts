import { distance } from "fastest-levenshtein";

/** The candidate that `word` was probably meant to be; undefined if none is like it. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const [best] = candidates
    .filter((candidate) => distance(word, candidate) <= Math.min(3, candidate.length / 2))
    .toSorted((a, b) => distance(word, a) - distance(word, b));
  return best;
}
