import * as z from "@zod/zod";
import { HeaderText } from "../system/text.ts";

/** What values of a key may look like. */
export interface Kind<T> {
  /** The end of the sentence "it must be …". */
  readonly allowed: string;
  /** A value as somebody would type it; tests set every key to its kind's. */
  readonly example: string;
  /** Reads a JSON value, or the text of an environment variable. */
  readonly schema: z.ZodType<T>;
}

/** Timers overflow at 24.8 days; a day is more than any of them needs. */
const MAX_DURATION_MS = 24 * 3_600_000;

/** How much is logged, from the most to the least. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

/** A duration of at least `minMs` in milliseconds, and a day at most where no other bound is given. */
export function duration(minMs: number, maxMs = MAX_DURATION_MS): Kind<number> {
  const range = `${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  return {
    allowed: `a duration from ${range} with its unit, such as "30s"`,
    example: "45s",
    schema: z.string().trim()
      .transform((text) => parseDuration(text) ?? NaN)
      .pipe(z.number().min(minMs).max(maxMs)),
  };
}

/** A size from `min` to `max` bytes. */
export function size(min: number, max: number): Kind<number> {
  return {
    allowed: `a size from ${formatSize(min)} to ${formatSize(max)}, such as "64MiB"`,
    example: "64MiB",
    schema: z.string().trim()
      .transform((text) => parseSize(text) ?? NaN)
      .pipe(z.number().min(min).max(max)),
  };
}

/** A part of the machine's memory, such as "80%", or a size. */
export const memoryBound: Kind<string> = {
  allowed: 'a part of the memory such as "80%", or a size from 16MiB such as "2GiB"',
  example: "80%",
  schema: z.string().trim().refine((text) => bytesOfBound(text, 2 ** 40) !== undefined),
};

/** A {@linkcode memoryBound} in bytes, on a machine with so many; undefined for none. */
export function bytesOfBound(bound: string, totalBytes: number): number | undefined {
  const percent = Number(/^(\d{1,3})%$/.exec(bound)?.[1] ?? 0);
  if (percent > 0) return percent > 100 ? undefined : Math.floor(totalBytes * percent / 100);
  const bytes = parseSize(bound) ?? 0;
  return bytes < 2 ** 24 ? undefined : bytes;
}

const numeral = z.union([
  z.number(),
  z.string().trim().regex(/^-?\d+(\.\d+)?$/).transform(Number),
]);

/** A number, as JSON or as decimal text. */
export function fraction(min: number, max: number): Kind<number> {
  return {
    allowed: `a number from ${min} to ${max}`,
    example: String(max),
    schema: numeral.pipe(z.number().min(min).max(max)),
  };
}

/** A number without a fraction, as JSON or as decimal text. */
export function whole(min: number, max: number): Kind<number> {
  return {
    allowed: `a whole number from ${min} to ${max}`,
    example: String(max),
    schema: numeral.pipe(z.number().int().min(min).max(max)),
  };
}

/** A switch: a JSON boolean, or one of the words people use for it. */
export const flag: Kind<boolean> = {
  allowed: "true or false",
  example: "false",
  schema: z.union([
    z.boolean(),
    z.string().trim().pipe(z.stringbool({
      truthy: ["true", "1", "yes", "on"],
      falsy: ["false", "0", "no", "off"],
    })),
  ]),
};

/** An id or a token. */
export const headerText: Kind<string> = {
  allowed: "text of visible ASCII characters without spaces",
  example: "4f3c2b1a",
  schema: z.string().trim().pipe(HeaderText),
};

/** What a person calls something. */
export const label: Kind<string> = {
  allowed: "text of up to 120 characters in one line",
  example: "eu-central-1",
  schema: z.string().trim().max(120).regex(/^\P{C}+$/u),
};

/** One of a few words. */
export function oneOf<Word extends string>(...words: Word[]): Kind<Word> {
  return {
    allowed: `one of ${words.join(", ")}`,
    example: words.at(-1) ?? "",
    schema: z.preprocess(
      (raw) => typeof raw === "string" ? raw.trim().toLowerCase() : raw,
      z.enum(words),
    ),
  };
}

/** The name of an account of this machine. */
export const userName: Kind<string> = {
  allowed: "the name of a user",
  example: "nobody",
  schema: z.string().trim().regex(/^[^-:\s][^:\s]*$/),
};

/** The name of a file, relative to the working directory unless absolute. */
export const filePath: Kind<string> = {
  allowed: "the path of a file",
  example: "/srv/agent/file",
  schema: z.string().trim().min(1).refine((path) => !path.includes("\0")),
};

/** Where releases are found: a folder, or an address that nobody on the way can change. */
export const releaseSource: Kind<string> = {
  allowed: "the absolute path of a folder, or an https URL without user name, query and fragment",
  example: "https://releases.example.com/noderax",
  schema: z.string().trim().regex(/^(\/|https:\/\/[^/?#@\s]+(\/[^?#\s]*)?$)/)
    .refine((place) => !place.includes("\0") && (place.startsWith("/") || URL.canParse(place))),
};

/** Public keys in base64. */
export const publicKeyText: Kind<string> = {
  allowed: "the base64 text of Ed25519 public keys, separated by commas",
  example: "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
  schema: z.string().trim().regex(/^[A-Za-z0-9+/=,\s]+$/),
};

/** Where only this machine itself can reach a server; port 0 is any free one. */
export const loopbackAddress: Kind<string> = {
  allowed: 'a loopback address with its port, such as "127.0.0.1:9464"',
  example: "127.0.0.1:9464",
  schema: z.string().trim().toLowerCase()
    .regex(/^(localhost|127(\.\d{1,3}){3}|\[::1\]):\d{1,5}$/)
    .refine((address) => URL.canParse(`http://${address}`)),
};

/** The path part of a URL. */
export const urlPath: Kind<string> = {
  allowed: 'a path that begins with "/", without spaces, "?" and "#"',
  example: "/path",
  schema: z.string().trim().regex(/^\/[^\s?#]*$/),
};

/** One of {@linkcode LOG_LEVELS}; `warning` is another name for `warn`. */
export const logLevel: Kind<(typeof LOG_LEVELS)[number]> = {
  allowed: `one of ${LOG_LEVELS.join(", ")}`,
  example: "debug",
  schema: z.preprocess((raw) => {
    const level = typeof raw === "string" ? raw.trim().toLowerCase() : raw;
    return level === "warning" ? "warn" : level;
  }, z.enum(LOG_LEVELS)),
};

/** The control plane's address without the base path of its API. */
export const apiUrl: Kind<string> = {
  allowed:
    'an http or https URL without user name, query and fragment, such as "https://host:3000"',
  example: "https://host.example.com:3000",
  schema: z.string().trim().transform((text, context) => {
    const url = parseApiUrl(text);
    if (url !== undefined) return url;
    context.issues.push({ code: "custom", input: text });
    return z.NEVER;
  }),
};

function parseApiUrl(text: string): string | undefined {
  // "http:/host" is a slip, not a host that is named "http".
  if (/^https?:(?!\/\/)/i.test(text)) return undefined;
  // Only "://" tells a scheme from a host with a port ("localhost:3000").
  const url = URL.parse(text.includes("://") ? text : `https://${text}`);
  if (url === null || !["http:", "https:"].includes(url.protocol)) return undefined;
  if (url.username || url.password || url.search || url.hash) return undefined;
  const path = url.pathname.replace(/\/+$/, "").replace(/(?:\/api)?\/v1$/, "").replace(/\/+$/, "");
  return url.origin + path;
}

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
