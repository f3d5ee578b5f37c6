import { dirname, resolve } from "@std/path";
import { INSTALLED } from "../system/paths.ts";
import { isRoot, trustedOwners, whoElseWrites } from "../system/trust.ts";
import { UserError } from "../system/user_error.ts";
import { processEnv, type ReadEnv, readSet } from "./_env.ts";
import { type RawConfig, readConfigFile } from "./_file.ts";
import { unknownKeyWarnings } from "./earlier_keys.ts";
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
  /**
   * Says of a file that was found, not named, that it is somebody else's; what is in it is then
   * used with nothing that is not.
   */
  readonly foreign?: string;
  /** Sentences about the files that root does not believe. */
  readonly passedOver: readonly string[];
  /** Where each value came from, by the key's name in the file. */
  readonly sources: Readonly<Record<string, ConfigSource>>;
  /** Keys of the file that mean nothing to this agent. */
  readonly unknownKeys: readonly string[];
  /** Keys that the file has more than once; the last one counts. */
  readonly duplicateKeys: readonly string[];
  /** Sentences to be logged once; the unknown keys are among them, and the files passed over. */
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
  /** The service's configuration, which comes first for root. */
  readonly installed?: string;
}

/** Where the configuration is. */
export type LocatedConfig = Pick<LoadedConfig, "path" | "exists" | "foreign" | "passedOver">;

/** What {@linkcode inspectConfig} found. */
export interface InspectedConfig extends LoadedConfig {
  /** A sentence for each bad value, by the key's name; in `config` such a key is as if unset. */
  readonly problems: Readonly<Record<string, string>>;
}

/**
 * Finds and reads the configuration.
 *
 * `NODERAX_CONFIG_FILE` names the only file to read, which need not exist yet; `--config` sets it.
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
  const located = await locateConfig(options);
  const { path, exists, passedOver } = located;
  const read = exists ? await readConfigFile(path) : undefined;
  const { content, duplicates: duplicateKeys } = read ?? { content: {}, duplicates: [] };

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
  const warnings = [
    ...passedOver,
    ...duplicateKeys.length === 0
      ? []
      : [`${path} has keys more than once, the last one counts: ${duplicateKeys.join(", ")}.`],
    ...unknownKeyWarnings(path, unknownKeys),
    ...unusedLocation(config),
  ];
  return { config, ...located, sources, unknownKeys, duplicateKeys, warnings, problems };
}

/** The file that `NODERAX_CONFIG_FILE` names; undefined if it is to be searched for. */
export function namedConfig(
  { env = processEnv, cwd = Deno.cwd() }: LoadConfigOptions = {},
): string | undefined {
  const named = readSet(env, "NODERAX_CONFIG_FILE");
  return named === undefined ? undefined : resolve(cwd, named);
}

/**
 * Where the configuration file is or, if there is none, is to be made; it is not read.
 *
 * For root the service's own comes first, and a file that somebody else could have written is passed
 * over: whoever writes the configuration decides what root runs, and where its token goes.
 *
 * @throws {UserError} when root is to read a named file that somebody else can write.
 */
export async function locateConfig(options: LoadConfigOptions = {}): Promise<LocatedConfig> {
  const { cwd = Deno.cwd(), searchPath = CONFIG_SEARCH_PATH } = options;
  const { installed = INSTALLED.config } = options;
  const named = namedConfig(options);
  if (named !== undefined) return await locateNamed(named);
  const passedOver: string[] = [];
  for (const candidate of isRoot() ? [installed, ...searchPath] : searchPath) {
    const path = resolve(cwd, candidate);
    if (!await isThere(path)) continue;
    if (!isRoot()) {
      const foreign = await strangerOf(path);
      return { path, exists: true, passedOver, ...(foreign ? { foreign } : {}) };
    }
    const problem = await whyNotRoots(path);
    if (problem === undefined) return { path, exists: true, passedOver };
    passedOver.push(`${path} is ignored, because ${problem}: root trusts only root's files.`);
  }
  return { path: resolve(cwd, NEW_CONFIG_FILE), exists: false, passedOver };
}

async function locateNamed(path: string): Promise<LocatedConfig> {
  const exists = await isThere(path);
  const problem = exists && isRoot() ? await whyNotRoots(path) : undefined;
  if (problem === undefined) return { path, exists, passedOver: [] };
  throw new UserError(
    `${path} is not read as root, because ${problem}: make the file and its folders root's alone, ` +
      "or name another with --config FILE.",
  );
}

async function whyNotRoots(path: string): Promise<string | undefined> {
  try {
    return await whoElseWrites(path);
  } catch (error) {
    // Root's own links: reading tells what is wrong with them.
    if (error instanceof Deno.errors.FilesystemLoop) return undefined;
    throw error;
  }
}

/** Whose the file or its folder is, if neither root's nor one's own. */
async function strangerOf(path: string): Promise<string | undefined> {
  for (const each of [path, dirname(path)]) {
    const uid = (await Deno.stat(each).catch(() => undefined))?.uid;
    if (typeof uid === "number" && !trustedOwners().includes(uid)) {
      return `${each} belongs to user ${uid}`;
    }
  }
  return undefined;
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

/** Keys of a location that cannot be used without others. */
function unusedLocation(config: Config): string[] {
  const {
    locationManualRegion: region,
    locationManualZone: zone,
    locationManualLatitude: latitude,
    locationManualLongitude: longitude,
  } = config;
  const isAnySet = [zone, latitude, longitude].some((value) => value !== undefined);
  if (region === undefined && isAnySet) {
    return ["location_manual_region is not set: the other location_manual keys are ignored."];
  }
  if ((latitude === undefined) === (longitude === undefined)) return [];
  const sentence = "location_manual_latitude and location_manual_longitude are used together: ";
  return [`${sentence}set both, or neither.`];
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
