import * as z from "@zod/zod";
import { messageOf, UserError } from "../system/user_error.ts";
import { findJsonError } from "./_json_error.ts";

/** What a configuration file holds, known and unknown keys alike. */
export type RawConfig = Record<string, unknown>;

const rawConfig = z.custom<RawConfig>((value) =>
  typeof value === "object" && value !== null && !Array.isArray(value)
);

/**
 * Reads a configuration file; `undefined` if there is none at `path`.
 *
 * Throws a {@linkcode UserError} that names the file if it cannot be read or
 * holds anything but one JSON object.
 */
export async function readConfigFile(path: string): Promise<RawConfig | undefined> {
  const text = await readText(path);
  return text === undefined ? undefined : parseConfigText(path, text);
}

/** What the text of the configuration file at `path` holds; throws like {@linkcode readConfigFile}. */
export function parseConfigText(path: string, text: string): RawConfig {
  const error = findJsonError(text);
  if (error !== undefined) {
    const place = `line ${error.line}, column ${error.column}`;
    throw new UserError(`${path} is not valid JSON: correct it at ${place}.`);
  }
  const content = rawConfig.safeParse(JSON.parse(text));
  if (!content.success) {
    throw new UserError(
      `${path} holds no JSON object: write one into it, such as {"api_url":"https://host"}.`,
    );
  }
  return content.data;
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
