import { resolve } from "@std/path";
import { UserError } from "../system/user_error.ts";
import { processEnv, type ReadEnv, readSet } from "./_env.ts";
import { type RawConfig, readConfigFile } from "./_file.ts";
import { type Config, CONFIG_KEYS, type ConfigKey, configSchema } from "./schema.ts";

/** Where the configuration is looked for, in this order. */
export const CONFIG_SEARCH_PATH: readonly string[] = [
  "config.local.json",
  "config.json",
  "config/config.json",
  "/usr/local/etc/noderax-agent/config.json",
  "/etc/noderax-agent/config.json",
];

/** The file that is made when none was found, in the working directory. */
const NEW_CONFIG_FILE = "config.json";

/** Where a value came from. */
export type ConfigSource = "default" | { readonly file: string } | { readonly env: string };

/** What {@linkcode loadConfig} found. */
export interface LoadedConfig {
  /** The values: environment over file over default. */
  readonly config: Config;
  /** Absolute path of the file that was read or, if none was found, is to be made. */
  readonly path: string;
  /** Whether there is a file at `path`. */
  readonly exists: boolean;
  /** Where each value came from, by the key's name in the file. */
  readonly sources: Readonly<Record<string, ConfigSource>>;
  /** Keys of the file that mean nothing to this agent. */
  readonly unknownKeys: readonly string[];
  /** Sentences to be logged once; the unknown keys are among them. */
  readonly warnings: readonly string[];
}

/** The world that {@linkcode loadConfig} sees. */
export interface LoadConfigOptions {
  /** The environment; the process's own unless told. It is asked name by name. */
  readonly env?: ReadEnv;
  /** The folder that relative paths of files to read start from; the working directory. */
  readonly cwd?: string;
  /** {@linkcode CONFIG_SEARCH_PATH} unless told. */
  readonly searchPath?: readonly string[];
}

/**
 * Finds and reads the configuration.
 *
 * `NODERAX_CONFIG_FILE` names the only file to read, which need not exist yet.
 * Throws a {@linkcode UserError} if the file cannot be used, or with one line for
 * each bad value: key, value (masked if secret), source, and what is allowed.
 */
export async function loadConfig(
  { env = processEnv, cwd = Deno.cwd(), searchPath = CONFIG_SEARCH_PATH }: LoadConfigOptions = {},
): Promise<LoadedConfig> {
  const named = readSet(env, "NODERAX_CONFIG_FILE");
  const candidates = named === undefined ? searchPath : [named];
  const found = await findFile(candidates.map((path) => resolve(cwd, path)));
  const path = found?.path ?? resolve(cwd, named ?? NEW_CONFIG_FILE);
  const content = found?.content ?? {};

  const values: RawConfig = {};
  const sources: Record<string, ConfigSource> = {};
  for (const row of CONFIG_KEYS) {
    const { value, source } = pickValue(row, env, content, path);
    if (value !== undefined) values[row.property] = value;
    sources[row.key] = source;
  }
  const parsed = configSchema.safeParse(values);
  if (!parsed.success) {
    const bad = new Set(parsed.error.issues.map((issue) => issue.path[0]));
    const sentences = CONFIG_KEYS.filter((row) => bad.has(row.property))
      .map((row) => badValueSentence(row, values[row.property], sources[row.key]));
    throw new UserError(sentences.join("\n"));
  }

  const unknownKeys = Object.keys(content).filter((key) => !Object.hasOwn(sources, key));
  const warnings = unknownKeys.length === 0
    ? []
    : [`${path} has unknown keys, which are ignored: ${unknownKeys.join(", ")}.`];
  return { config: parsed.data, path, exists: found !== undefined, sources, unknownKeys, warnings };
}

async function findFile(
  paths: readonly string[],
): Promise<{ path: string; content: RawConfig } | undefined> {
  for (const path of paths) {
    const content = await readConfigFile(path);
    if (content !== undefined) return { path, content };
  }
  return undefined;
}

function pickValue(
  row: ConfigKey,
  env: ReadEnv,
  content: RawConfig,
  file: string,
): { value: unknown; source: ConfigSource } {
  for (const name of row.env) {
    const value = readSet(env, name);
    if (value !== undefined) return { value, source: { env: name } };
  }
  const value = Object.hasOwn(content, row.key) ? content[row.key] : undefined;
  const blank = value === null || (typeof value === "string" && value.trim() === "");
  if (value === undefined || (blank && row.fallback === undefined)) {
    return { value: undefined, source: "default" };
  }
  return { value, source: { file } };
}

function badValueSentence(row: ConfigKey, value: unknown, source?: ConfigSource): string {
  const shown = row.secret ? '"***"' : showValue(value);
  return `${row.key} is ${shown} ${describeSource(source)}, but must be ${row.allowed}.`;
}

function showValue(value: unknown): string {
  // The password of a URL like https://me:secret@host is nobody's business either.
  const text = JSON.stringify(value).replace(/^("(?:[^"/]*:\/\/)?).*@/, "$1***@");
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

function describeSource(source: ConfigSource = "default"): string {
  if (source === "default") return "by default";
  if ("env" in source) return `in the environment variable ${source.env}`;
  return `in ${source.file}`;
}
