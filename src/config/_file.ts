import * as z from "@zod/zod";
import { messageOf, UserError } from "../system/user_error.ts";
import { duplicateKeys } from "./_duplicate_keys.ts";
import { findJsonError } from "./_json_error.ts";

/** What a configuration file holds, known and unknown keys alike. */
export type RawConfig = Record<string, unknown>;

/** What was read. */
export interface ConfigFile {
  /** The keys and their values. */
  content: RawConfig;
  /** The keys that are there more than once; the last one counts. */
  duplicates: string[];
}

/** How {@linkcode parseConfigText} reads. */
export interface ParseOptions {
  /** Whether numbers that JavaScript would round are kept as they are, for whoever writes them again. */
  exact?: boolean;
}

const rawConfig = z.custom<RawConfig>((value) =>
  typeof value === "object" && value !== null && !Array.isArray(value)
);

/**
 * Reads a configuration file; `undefined` if there is none at `path`.
 *
 * Throws a {@linkcode UserError} that names the file if it cannot be read or
 * holds anything but one JSON object.
 */
export async function readConfigFile(
  path: string,
  options?: ParseOptions,
): Promise<ConfigFile | undefined> {
  const text = await readText(path);
  return text === undefined ? undefined : parseConfigText(path, text, options);
}

/** What the text of the configuration file at `path` holds; throws like {@linkcode readConfigFile}. */
export function parseConfigText(
  path: string,
  text: string,
  { exact = false }: ParseOptions = {},
): ConfigFile {
  const error = findJsonError(text);
  if (error !== undefined) {
    const place = `line ${error.line}, column ${error.column}`;
    throw new UserError(`${path} is not valid JSON: correct it at ${place}.`);
  }
  const content = rawConfig.safeParse(JSON.parse(text, exact ? keepDigits : undefined));
  if (!content.success) {
    throw new UserError(
      `${path} holds no JSON object: write one into it, such as {"api_url":"https://host"}.`,
    );
  }
  return { content: content.data, duplicates: duplicateKeys(text) };
}

/** So many digits of a number are always kept. */
const SAFE_DIGITS = 15;
// Every engine of today has it, but not its type.
const rawJson: (text: string) => unknown = Reflect.get(JSON, "rawJSON");

function keepDigits(
  _key: string,
  value: unknown,
  { source = "" }: { source?: string } = {},
): unknown {
  if (typeof value !== "number") return value;
  const digits = source.replace(/e.*$/i, "").replace(/\D/g, "").replace(/^0+/, "");
  return digits.length > SAFE_DIGITS ? rawJson(source) : value;
}

async function readText(path: string): Promise<string | undefined> {
  try {
    // Some editors begin a file with a byte order mark, which is not JSON.
    return (await Deno.readTextFile(path)).replace(/^\uFEFF/, "");
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    if (cause instanceof Deno.errors.NotADirectory) return undefined;
    throw new UserError(`${path} cannot be read ${fileProblem(cause)}.`, { cause });
  }
}

/** Why a file could not be used, and what to do where that is known: the end of a sentence. */
export function fileProblem(error: unknown): string {
  if (error instanceof Deno.errors.IsADirectory) return "(it is a folder): name a file";
  if (error instanceof Deno.errors.PermissionDenied) {
    return "(permission denied): use the account that owns it, or root";
  }
  // Without the call: the sentence has named the file.
  return `(${messageOf(error).replace(/: \w+ '[^]*$/, "")})`;
}
