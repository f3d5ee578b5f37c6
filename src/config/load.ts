import * as z from "@zod/zod";
import { messageOf, UserError } from "../system/user_error.ts";
import { duplicateKeys, findJsonError } from "./json_faults.ts";
import {
  type LoadConfigOptions,
  locateConfig,
  type LocatedConfig,
  processEnv,
  type ReadEnv,
} from "./locate.ts";
import { type Config, CONFIG_KEYS, type ConfigKey, configSchema } from "./schema.ts";
import { badValueSentence } from "./value.ts";

/** Where a value came from. */
export type ConfigSource = "default" | { readonly file: string } | { readonly env: string };

/** What {@linkcode loadConfig} found. */
export interface LoadedConfig extends LocatedConfig {
  /** The values: environment over file over default. */
  readonly config: Config;
  /** Where each value came from, by the key's name in the file. */
  readonly sources: Readonly<Record<string, ConfigSource>>;
  /** Keys of the file that mean nothing to this agent. */
  readonly unknownKeys: readonly string[];
  /** Keys that the file has more than once; the last one counts. */
  readonly duplicateKeys: readonly string[];
  /** Sentences to be logged once; the unknown keys are among them, and the files passed over. */
  readonly warnings: readonly string[];
}

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

/** The configuration of an agent that runs: whoever uses a value asks for it {@linkcode now}. */
export class RunningConfig {
  /** What the agent was started with. */
  readonly started: LoadedConfig;
  #now: Config;
  #needsRestart: string[] = [];

  /** Begins with what was loaded at the start. */
  constructor(started: LoadedConfig) {
    this.started = started;
    this.#now = started.config;
  }

  /** The values in force. */
  get now(): Config {
    return this.#now;
  }

  /** The keys whose new values wait for the next start: their earlier ones stay in force. */
  get needsRestart(): string[] {
    return [...this.#needsRestart];
  }

  /**
   * Reads the configuration again; returns what it warns of. `identity` is in use, wherever it came
   * from.
   *
   * @throws {UserError} when it is bad: nothing changes then.
   */
  async reload(
    env: ReadEnv,
    { nodeId, agentToken }: { nodeId: string; agentToken: string },
  ): Promise<readonly string[]> {
    const { config: read, warnings } = await loadConfig({ env });
    const { config: started } = this.started;
    // Credentials may come from the identity file, and then are not in the configuration.
    const inUse: Config = { ...started, nodeId, agentToken };
    const wanted: Config = { nodeId, agentToken, ...read };
    const waiting = CONFIG_KEYS.filter(({ property, needsRestart }) =>
      needsRestart && wanted[property] !== inUse[property]
    );
    const config = { ...read };
    for (const { property } of waiting) take(config, started, property);
    this.#now = config;
    this.#needsRestart = waiting.map(({ key }) => key);
    return warnings;
  }
}

function take<Key extends keyof Config>(into: Config, from: Config, key: Key): void {
  into[key] = from[key];
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
    const value = env(name);
    if (value?.trim()) return { value, source: { env: name } };
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

/** Keys of the agent in Go that mean nothing here, and what does what they did. */
const EARLIER_KEYS: Readonly<Record<string, string>> = {
  ipinfo_token: "nobody else is asked where the machine is; see location_detection",
  location_public_ip_enabled: "nobody else is asked where the machine is; see location_detection",
  realtime_backoff_max: "the pauses between connections are the agent's own",
  realtime_backoff_min: "the pauses between connections are the agent's own",
  realtime_connect_timeout: "the limit of a connection is the agent's own",
};

/** Sentences about the keys of a file that mean nothing: each is named, its value is not. */
export function unknownKeyWarnings(path: string, unknownKeys: readonly string[]): string[] {
  const isEarlier = (key: string) => Object.hasOwn(EARLIER_KEYS, key);
  const others = unknownKeys.filter((key) => !isEarlier(key));
  const earlier = unknownKeys.filter(isEarlier).map((key) => `${key} (${EARLIER_KEYS[key]})`);
  return [
    ...others.length === 0
      ? []
      : [`${path} has unknown keys, which are ignored: ${others.join(", ")}.`],
    ...earlier.length === 0
      ? []
      : [`${path} has keys of the agent in Go that have no effect: ${earlier.join(", ")}.`],
  ];
}
