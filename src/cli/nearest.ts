/** The candidate that `word` was probably meant to be; undefined if none is like it. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const [best] = candidates
    .map((candidate) => ({ candidate, edits: editsBetween(word, candidate) }))
    .filter(({ candidate, edits }) => edits <= Math.min(3, candidate.length / 2))
    .toSorted((a, b) => a.edits - b.edits);
  return best?.candidate;
}

/** How many characters must be put in, left out or changed to make one word the other. */
function editsBetween(from: string, to: string): number {
  // Of the beginnings of `to`, by their length: the edits that make them of what was seen of `from`.
  let row = Array.from({ length: to.length + 1 }, (_, length) => length);
  for (const [at, character] of [...from].entries()) {
    const above = row;
    row = [at + 1];
    for (const [column, wanted] of [...to].entries()) {
      const changed = (above[column] ?? 0) + (character === wanted ? 0 : 1);
      const dropped = (above[column + 1] ?? 0) + 1;
      row.push(Math.min(changed, dropped, (row[column] ?? 0) + 1));
    }
  }
  return row.at(-1) ?? 0;
}
