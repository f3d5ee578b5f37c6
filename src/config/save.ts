import { makeFolder, writeFileAtomic } from "../system/atomic_file.ts";
import { isRoot, whoElseWrites } from "../system/trust.ts";
import { messageOf, UserError } from "../system/user_error.ts";
import { UsersFile } from "../system/users_file.ts";
import { processEnv, type ReadEnv } from "./locate.ts";
import { fileProblem, parseConfigText, type RawConfig, readConfigFile } from "./load.ts";
import { CONFIG_KEYS, type ConfigValue } from "./schema.ts";
import { dirname, join } from "@std/path";
import { HeldError, whileHeld } from "../system/kernel_locks.ts";

/** What to change, by the key's name in the file; null removes the key. */
export type ConfigChanges = Readonly<Record<string, ConfigValue | null>>;

/** What {@linkcode saveConfig} has to say after it saved. */
export interface SavedConfig {
  /** Sentences about what did not stop it: the mirror could not be written. */
  readonly warnings: readonly string[];
}

/**
 * Changes keys of the configuration file at `path`, which is made if it is missing.
 *
 * All other keys stay as they are and where they are, also when several save at
 * the same time. The file is replaced atomically and has mode 0600 afterwards; with `NODERAX_CONFIG_MIRROR_FILE` set
 * a copy goes there in the same way. Throws a {@linkcode UserError} if the file
 * cannot be written, is being changed by somebody else for seconds, or is there
 * and is no JSON object, or one of another program's: it is left alone then.
 */
export async function saveConfig(
  path: string,
  changes: ConfigChanges,
  { env = processEnv }: { readonly env?: ReadEnv } = {},
): Promise<SavedConfig> {
  await change(path, changes);
  const mirror = env("NODERAX_CONFIG_MIRROR_FILE");
  if (!mirror?.trim()) return { warnings: [] };
  try {
    await copy(path, mirror);
    return { warnings: [] };
  } catch (error) {
    return { warnings: [`The configuration was not mirrored: ${messageOf(error)}`] };
  }
}

async function change(path: string, changes: ConfigChanges): Promise<void> {
  // What a user could have put there is not to get root's tokens.
  const problem = isRoot() ? await whoElseWrites(path).catch(() => undefined) : undefined;
  if (problem !== undefined) {
    throw new UserError(
      `${path} is not written as root, because ${problem}: name the agent's own with --config FILE.`,
    );
  }
  using _lock = await lockFile(path);
  const content = await readOurs(path);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) delete content[key];
    else content[key] = value;
  }
  await writeConfigFile(path, JSON.stringify(content, null, 2) + "\n");
}

/** Whoever comes last copies what was saved last: the file is read when it is their turn. */
async function copy(path: string, mirror: string): Promise<void> {
  // As in a checkout of the user who has called sudo.
  using users = isRoot() ? await UsersFile.open(mirror) : undefined;
  if (users) {
    const there = users.read();
    if (there !== undefined) requireOurs(mirror, parseConfigText(mirror, there).content);
    return users.write(await Deno.readTextFile(path));
  }
  using _lock = await lockFile(mirror);
  // What is not a configuration was named by mistake: reading it first protects it.
  await readOurs(mirror);
  await writeConfigFile(mirror, await Deno.readTextFile(path));
}

async function readOurs(path: string): Promise<RawConfig> {
  const read = await readConfigFile(path, { exact: true });
  const { content } = read ?? { content: {} };
  requireOurs(path, content);
  return content;
}

/** What holds other keys alone is another program's file, whatever its name is. */
function requireOurs(path: string, content: RawConfig): void {
  const isOurs = CONFIG_KEYS.some(({ key }) => Object.hasOwn(content, key));
  if (isOurs || Object.keys(content).length === 0) return;
  throw new UserError(
    `${path} is not written, because no key in it is the agent's: it belongs to another program. ` +
      "Name the agent's own with --config FILE.",
  );
}

async function writeConfigFile(path: string, text: string): Promise<void> {
  try {
    await writeFileAtomic(path, text, { followLinks: true });
  } catch (cause) {
    throw new UserError(`${path} cannot be written ${fileProblem(cause)}.`, { cause });
  }
}

/** How long somebody else may have the file, in milliseconds. */
const PATIENCE_MS = 5_000;
/** The pause between two looks whether the lock is free, in milliseconds. */
const PAUSE_MS = 25;

/**
 * Keeps others who call this away from the file at `path` until it is disposed of or replaced, or
 * until the process ends in whatever way; nothing is left behind. A file that is not there yet is
 * locked by its folder, which is made.
 *
 * What cannot be locked is not: who cannot open it cannot change it either, as they will find out,
 * and some file systems have no locks. A folder that is an agent's state folder too is left to it.
 *
 * @throws {UserError} when somebody else has it for longer than `patienceMs`.
 */
export async function lockFile(path: string, patienceMs = PATIENCE_MS): Promise<Disposable> {
  // What goes wrong here does so again, in words, where the file is written.
  await makeFolder(dirname(path)).catch(() => {});
  const take = async () => {
    const file = await openNearest(path).catch(() => undefined);
    if (file && await isStateFolder(file, path)) return nothing(file);
    const locked = await file?.tryLock(true).catch(() => undefined);
    if (file === undefined || locked === undefined) return nothing(file);
    if (locked && await isNearest(file, path).catch(() => false)) return file;
    file.close();
    throw new HeldError();
  };
  try {
    return await whileHeld(take, PAUSE_MS, patienceMs);
  } catch (error) {
    if (!(error instanceof HeldError)) throw error;
    throw new UserError(
      `${path} is being changed by another command: try again when that has ended.`,
    );
  }
}

/** An agent may have its state folder locked for as long as it runs. */
async function isStateFolder(file: Deno.FsFile, path: string): Promise<boolean> {
  if (!(await file.stat()).isDirectory) return false;
  return await Deno.lstat(join(dirname(path), "agent.lock")).then(() => true, () => false);
}

function nothing(file: Deno.FsFile | undefined): Disposable {
  file?.close();
  return { [Symbol.dispose]() {} };
}

async function openNearest(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return await Deno.open(dirname(path));
  }
}

/** The file may have been replaced or made while its lock was waited for. */
async function isNearest(file: Deno.FsFile, path: string): Promise<boolean> {
  using now = await openNearest(path);
  const [locked, there] = await Promise.all([file.stat(), now.stat()]);
  return locked.dev === there.dev && locked.ino === there.ino;
}
