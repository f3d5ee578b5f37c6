import { setTimeout as delay } from "@std/async";
import { join } from "@std/path";
import type { Logger } from "../system/logger.ts";
import { messageOf, UserError } from "../system/user_error.ts";

/** A lock that is held for longer is an agent's, in milliseconds; others only look who has it. */
const LOOK_MS = 1_000;
/** The pause between two tries, in milliseconds. */
const PAUSE_MS = 50;

/**
 * Makes sure that no second agent works with the same state folder: it would take the first one's
 * running tasks for orphans. The lock goes with the process, however it ends.
 *
 * @throws {UserError} if another agent has the folder. A folder that cannot be locked is warned of.
 */
export async function lockState(folder: string, logger: Logger): Promise<Disposable> {
  const path = join(folder, "agent.lock");
  let file: Deno.FsFile | undefined;
  let locked: boolean;
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    file = await Deno.open(path, { write: true, create: true, mode: 0o600 });
    locked = await tryForAWhile(file);
  } catch (error) {
    file?.close();
    logger.warn("state folder cannot be locked", { folder, error: messageOf(error) });
    return { [Symbol.dispose]: () => {} };
  }
  if (locked) return file;
  file.close();
  throw new UserError(
    `Another agent is running with the state folder ${folder}: stop it first, or give this one ` +
      "a state_file of its own.",
  );
}

async function tryForAWhile(file: Deno.FsFile): Promise<boolean> {
  const endMs = performance.now() + LOOK_MS;
  for (;;) {
    if (await file.tryLock(true)) return true;
    if (performance.now() > endMs) return false;
    await delay(PAUSE_MS);
  }
}
