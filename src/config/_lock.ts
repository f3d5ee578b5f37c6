import { dirname, join } from "@std/path";
import { makeFolder } from "../system/atomic_file.ts";
import { HeldError, whileHeld } from "../system/held.ts";
import { UserError } from "../system/user_error.ts";

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
