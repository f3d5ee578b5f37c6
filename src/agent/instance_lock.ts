import { join } from "@std/path";
import { msToBeat, repeat } from "../system/periodic.ts";
import { HeldError, whileHeld } from "../system/kernel_locks.ts";
import type { Logger } from "../system/logger.ts";
import { openOwn } from "../system/own_file.ts";
import { messageOf, UserError } from "../system/user_error.ts";
import { delay } from "@std/async";

/** A lock that is held for longer is an agent's, in milliseconds; others only look who has it. */
const LOOK_MS = 1_000;
/** The pause between two tries, in milliseconds. */
const PAUSE_MS = 50;

/** The state folder, taken by this agent until it is disposed of or the process ends. */
export interface StateLock extends Disposable {
  /**
   * Looks whether the folder is still this agent's; a lock file that somebody has removed is made
   * again. Gives a sentence when the folder is lost.
   */
  look(): Promise<string | undefined>;
}

/**
 * Makes sure that no second agent works with the same state folder: it would take the first one's
 * running tasks for orphans. Both the folder itself and a file in it are locked: the file alone
 * could be removed, and older agents know no other. The lock goes with the process, however it
 * ends.
 *
 * @throws {UserError} if another agent has the folder, or could have written its lock file. A folder
 * that cannot be locked is warned of.
 */
export async function lockState(folder: string, logger: Logger): Promise<StateLock> {
  const lock = new HeldLock(folder, logger);
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    if (await lock.take()) return lock;
  } catch (error) {
    lock[Symbol.dispose]();
    if (error instanceof UserError) throw error;
    logger.warn("state folder cannot be locked", { folder, error: messageOf(error) });
    return { look: () => Promise.resolve(undefined), [Symbol.dispose]: () => {} };
  }
  lock[Symbol.dispose]();
  throw new UserError(
    `Another agent is running with the state folder ${folder}: stop it first, or give this one ` +
      "a state_file of its own.",
  );
}

class HeldLock implements StateLock {
  readonly #folder: string;
  readonly #path: string;
  readonly #logger: Logger;
  #held: Opened | undefined;
  #file: Opened | undefined;

  constructor(folder: string, logger: Logger) {
    this.#folder = folder;
    this.#path = join(folder, "agent.lock");
    this.#logger = logger;
  }

  /** False if another agent has either. */
  async take(): Promise<boolean> {
    this.#held = await opened(await Deno.open(this.#folder));
    // Some file systems lock no folders.
    if (!await tryForAWhile(this.#held.file).catch(() => true)) return false;
    return await this.#takeFile();
  }

  async look(): Promise<string | undefined> {
    if (!await isAt(this.#folder, this.#held)) {
      return `the state folder ${this.#folder} was removed or replaced while the agent ran`;
    }
    if (await isAt(this.#path, this.#file)) return undefined;
    this.#file?.file.close();
    this.#file = undefined;
    if (!await this.#takeFile()) {
      return `another agent has locked the state folder ${this.#folder} after its lock was removed`;
    }
    this.#logger.warn("lock of the state folder was removed and is created again", {
      file: this.#path,
    });
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#held?.file.close();
    this.#file?.file.close();
    this.#held = this.#file = undefined;
  }

  async #takeFile(): Promise<boolean> {
    this.#file = await opened(await openOwn(this.#path, { write: true, create: true }));
    return await tryForAWhile(this.#file.file);
  }
}

/** What is held open, and which it is on its disk: that stays, and is not asked for again and again. */
interface Opened {
  file: Deno.FsFile;
  info: Pick<Deno.FileInfo, "dev" | "ino">;
}

async function opened(file: Deno.FsFile): Promise<Opened> {
  try {
    return { file, info: await file.stat() };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Whether what is at `path` is what was opened. */
async function isAt(path: string, opened: Opened | undefined): Promise<boolean> {
  try {
    const { dev, ino } = await Deno.stat(path);
    return dev === opened?.info.dev && ino === opened.info.ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function tryForAWhile(file: Deno.FsFile): Promise<boolean> {
  const take = async () => {
    if (!await file.tryLock(true)) throw new HeldError();
    return true;
  };
  return await whileHeld(take, PAUSE_MS, LOOK_MS).catch((error) => {
    if (error instanceof HeldError) return false;
    throw error;
  });
}

/** How often it is looked, in milliseconds. */
const WATCH_MS = 5_000;

/**
 * Looks every few seconds whether the state folder is still this agent's; `onLost` hears once in a
 * sentence that it is not. Disposed of, it looks no more.
 */
export function watchState(
  lock: StateLock,
  onLost: (problem: string) => void,
  logger: Logger,
  intervalMs = WATCH_MS,
): Disposable {
  return repeat(async (signal) => {
    await delay(msToBeat(intervalMs), { signal });
    // A folder that cannot be looked at just now may be again.
    const problem = await lock.look().catch((error) => {
      logger.warn("state folder cannot be checked", { error: messageOf(error) });
      return undefined;
    });
    if (problem === undefined || signal.aborted) return true;
    onLost(problem);
    return false;
  });
}
