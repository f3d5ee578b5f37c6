import * as z from "@zod/zod";
import { HeaderText } from "../system/header_text.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { formatSize, parseSize } from "./size.ts";

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

/** A duration of at least `minMs` in milliseconds, and a day at most. */
export function duration(minMs: number): Kind<number> {
  const range = `${formatDuration(minMs)} to ${formatDuration(MAX_DURATION_MS)}`;
  return {
    allowed: `a duration from ${range} with its unit, such as "30s"`,
    example: "45s",
    schema: z.string().trim()
      .transform((text) => parseDuration(text) ?? NaN)
      .pipe(z.number().min(minMs).max(MAX_DURATION_MS)),
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
