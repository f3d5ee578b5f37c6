import { dirname, resolve } from "@std/path";
import { INSTALLED } from "../system/paths.ts";
import { isRoot, trustedOwners, whoElseWrites } from "../system/trust.ts";
import { UserError } from "../system/user_error.ts";

/** Reads one environment variable. */
export type ReadEnv = (name: string) => string | undefined;

/** The process's own environment; name by name, as its permissions list names. */
export function processEnv(name: string): string | undefined {
  return Deno.env.get(name);
}

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

/** The world that the configuration is looked for in. */
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
export interface LocatedConfig {
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
}

/** The file that `NODERAX_CONFIG_FILE` names; undefined if it is to be searched for. */
export function namedConfig(
  { env = processEnv, cwd = Deno.cwd() }: LoadConfigOptions = {},
): string | undefined {
  const named = env("NODERAX_CONFIG_FILE");
  return named?.trim() ? resolve(cwd, named) : undefined;
}

/** Whether the configuration is the service's, or was named; or there is none. */
export function isUsualConfig(
  { path, exists }: Pick<LocatedConfig, "path" | "exists">,
  env?: ReadEnv,
): boolean {
  const named = namedConfig(env ? { env } : {});
  return !exists || path === INSTALLED.config || named !== undefined;
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
