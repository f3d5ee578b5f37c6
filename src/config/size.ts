const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};
const SIZE = /^(\d+(?:\.\d+)?) ?([kmg]?i?b)$/;

/** Reads a size such as `64MiB`, `1.5 GB` or `4096B` as bytes; `undefined` for anything else. */
export function parseSize(text: string): number | undefined {
  const [, amount, unit = ""] = SIZE.exec(text.toLowerCase()) ?? [];
  const factor = UNITS[unit];
  return factor === undefined ? undefined : Math.round(Number(amount) * factor);
}

/** Writes whole bytes as {@linkcode parseSize} reads them, in the largest unit that leaves no fraction. */
export function formatSize(bytes: number): string {
  const units = [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]] as const;
  const [unit, factor] = units.find(([, factor]) => bytes >= factor && bytes % factor === 0) ??
    ["B", 1];
  return `${bytes / factor}${unit}`;
}
