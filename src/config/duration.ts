const NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  "µs": 1e3, // U+00B5, the micro sign
  "μs": 1e3, // U+03BC, the Greek letter
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const UNIT = "ns|us|µs|μs|ms|s|m|h";
const PART = new RegExp(`(\\d+\\.?\\d*|\\.\\d+)(${UNIT})`, "g");
const WHOLE = new RegExp(`^([+-]?)(0|(?:(?:\\d+\\.?\\d*|\\.\\d+)(?:${UNIT}))+)$`);

/** Go keeps durations as 64-bit nanoseconds, about 292 years. */
const MAX_NANOSECONDS = 2 ** 63;

/**
 * Reads a duration as Go writes them (`1h2m3s`, `250ms`, `1.5s`, `-2m`, `0`).
 *
 * Returns milliseconds, exact to the nanosecond up to a hundred days, or
 * `undefined` for anything else; a bare number other than 0 is no duration.
 */
export function parseDuration(text: string): number | undefined {
  const [, sign, parts] = WHOLE.exec(text) ?? [];
  if (parts === undefined) return undefined;
  let nanoseconds = 0;
  for (const [, amount, unit = ""] of parts.matchAll(PART)) {
    nanoseconds += Number(amount) * (NANOSECONDS[unit] ?? 0);
  }
  if (nanoseconds >= MAX_NANOSECONDS) return undefined;
  const milliseconds = Math.round(nanoseconds) / 1e6;
  return sign === "-" && milliseconds !== 0 ? -milliseconds : milliseconds;
}

/**
 * Writes finite milliseconds as {@linkcode parseDuration} reads them, rounded to
 * the nanosecond. Units that are zero are left out: `10m`, not `10m0s`.
 */
export function formatDuration(milliseconds: number): string {
  const total = Math.round(Math.abs(milliseconds) * 1e6);
  if (total === 0) return "0s";
  const sign = milliseconds < 0 ? "-" : "";
  if (total < 1e3) return `${sign}${total}ns`;
  if (total < 1e6) return `${sign}${total / 1e3}µs`;
  if (total < 1e9) return `${sign}${total / 1e6}ms`;
  const hours = Math.floor(total / 3600e9);
  const minutes = Math.floor(total % 3600e9 / 60e9);
  const seconds = (total % 60e9 / 1e9).toFixed(9).replace(/\.?0+$/, "");
  return sign + (hours ? `${hours}h` : "") + (minutes ? `${minutes}m` : "") +
    (seconds === "0" ? "" : `${seconds}s`);
}
