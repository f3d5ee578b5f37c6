/** What became of one package; `from` or `to` is left out where it was or is not there. */
export interface Change {
  /** The package's name without an architecture. */
  name: string;
  /** The version before. */
  from?: string;
  /** The version after. */
  to?: string;
}

/** A package that is there; of rpm's there may be several versions at a time. */
interface Present {
  /** Its name with its architecture. */
  id: string;
  name: string;
  version: string;
}

/** What differs between two looks at what is installed, by name and architecture. */
export function changesBetween(before: readonly Present[], after: readonly Present[]): Change[] {
  const gone = without(before, after);
  const come = without(after, before);
  return [...new Set([...gone.keys(), ...come.keys()])].sort().flatMap((id) => {
    const [from, to] = [gone.get(id) ?? [], come.get(id) ?? []];
    return Array.from({ length: Math.max(from.length, to.length) }, (_, index) => ({
      name: (to[index] ?? from[index])?.name ?? "",
      ...(from[index] ? { from: from[index].version } : {}),
      ...(to[index] ? { to: to[index].version } : {}),
    }));
  });
}

/** Those that the others do not have, by id. */
function without(
  packages: readonly Present[],
  others: readonly Present[],
): Map<string, Present[]> {
  const known = new Set(others.map(({ id, version }) => `${id} ${version}`));
  return Map.groupBy(
    packages.filter(({ id, version }) => !known.has(`${id} ${version}`)),
    ({ id }) => id,
  );
}
