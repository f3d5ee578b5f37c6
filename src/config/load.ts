import { resolve } from "@std/path";
import { UserError } from "../system/user_error.ts";
import { processEnv, type ReadEnv, readSet } from "./_env.ts";
import { type RawConfig, readConfigFile } from "./_file.ts";
import { type Config, CONFIG_KEYS, type ConfigKey, configSchema } from "./schema.ts";
import { badValueSentence } from "./value.ts";

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

/** What {@linkcode inspectConfig} found. */
export interface InspectedConfig extends LoadedConfig {
  /** A sentence for each bad value, by the key's name; in `config` such a key is as if unset. */
  readonly problems: Readonly<Record<string, string>>;
}

/**
 * Finds and reads the configuration.
 *
 * `NODERAX_CONFIG_FILE` names the only file to read, which need not exist yet.
 * Throws a {@linkcode UserError} if the file cannot be used, or with one line for
 * each bad value: key, value (masked if secret), source, and what is allowed.
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<LoadedConfig> {
  const { problems, ...loaded } = await inspectConfig(options);
  const sentences = Object.values(problems);
  if (sentences.length > 0) throw new UserError(sentences.join("\n"));
  return loaded;
}

/** Like {@linkcode loadConfig}, but bad values are reported beside the good ones. */
export async function inspectConfig(options: LoadConfigOptions = {}): Promise<InspectedConfig> {
  const { env = processEnv } = options;
  const { path, exists } = await locateConfig(options);
  const content = exists ? await readConfigFile(path) ?? {} : {};

  const values: RawConfig = {};
  const sources: Record<string, ConfigSource> = {};
  const problems: Record<string, string> = {};
  for (const row of CONFIG_KEYS) {
    const { value, source } = pickValue(row, env, content, path);
    sources[row.key] = source;
    if (value === undefined) continue;
    if (row.schema.safeParse(value).success) values[row.property] = value;
    else problems[row.key] = badValueSentence(row, value, describeSource(source));
  }
  const config = configSchema.parse(values);
  const unknownKeys = Object.keys(content).filter((key) => !Object.hasOwn(sources, key));
  const warnings = unknownKeys.length === 0
    ? []
    : [`${path} has unknown keys, which are ignored: ${unknownKeys.join(", ")}.`];
  return { config, path, exists, sources, unknownKeys, warnings, problems };
}

/** Whether `NODERAX_CONFIG_FILE` names the file; else it is searched for. */
export function isConfigNamed(env: ReadEnv = processEnv): boolean {
  return readSet(env, "NODERAX_CONFIG_FILE") !== undefined;
}

/** Where the configuration file is or, if there is none, is to be made; it is not read. */
export async function locateConfig(
  { env = processEnv, cwd = Deno.cwd(), searchPath = CONFIG_SEARCH_PATH }: LoadConfigOptions = {},
): Promise<Pick<LoadedConfig, "path" | "exists">> {
  const named = readSet(env, "NODERAX_CONFIG_FILE");
  for (const candidate of named === undefined ? searchPath : [named]) {
    const path = resolve(cwd, candidate);
    if (await isThere(path)) return { path, exists: true };
  }
  return { path: resolve(cwd, named ?? NEW_CONFIG_FILE), exists: false };
}

/** What cannot be looked at is there: reading it tells why. */
async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    return !missing;
  }
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

function describeSource(source: ConfigSource): string {
  if (source === "default") return "by default";
  if ("env" in source) return `in the environment variable ${source.env}`;
  return `in ${source.file}`;
}
