import { delay } from "@std/async";
import { type Holder, lockHolder } from "../system/kernel_locks.ts";
import { UserError } from "../system/user_error.ts";
import type { TaskContext } from "../tasks/task_type.ts";

/** How long a change waits for somebody else's, in seconds. */
const LOCK_WAIT_S = 120;
/** How often it is looked whether the locks are free, in milliseconds. */
const LOOK_EVERY_MS = 500;
/** How soon it is tried again where the holder cannot be seen for certain, in milliseconds. */
const TRY_EVERY_MS = 5_000;

/** What a change has to wait for. */
export interface Locks {
  /** What is busy while somebody holds one of them: `dpkg`, `rpm`. */
  what: string;
  /** The files, of which the one that matters most comes first. */
  paths: readonly string[];
}

/** Who holds the first of the lock files that is held. */
export function holderAmong(
  paths: readonly string[],
  look: LookAtLock = lockHolder,
): Holder | undefined {
  for (const path of paths) {
    const holder = look(path);
    if (holder) return holder;
  }
  return undefined;
}

/** Looks who holds a lock file. */
type LookAtLock = (path: string) => Holder | undefined;

/**
 * Makes an attempt when nobody holds a lock, and another one when the last has only met a lock: the
 * package managers fail on some locks at once and wait for others for ever. One limit holds for all
 * of it; the log says whom it waits for.
 *
 * @throws {UserError} when the time is over, and the signal's reason.
 */
export async function whenUnlocked<T extends { locked: boolean }>(
  locks: Locks,
  { onLines, signal, takenUp }: Pick<TaskContext, "onLines" | "signal" | "takenUp">,
  attempt: () => Promise<T>,
  { limitS = LOCK_WAIT_S, look = lockHolder }: { limitS?: number; look?: LookAtLock } = {},
): Promise<T> {
  const holderNow = () => holderAmong(locks.paths, look);
  let endMs: number | undefined;
  let said = "";
  const waitFor = async (holder: Holder | undefined, pauseMs: number) => {
    endMs ??= performance.now() + limitS * 1_000;
    const who = holder ? nameOf(holder) : "another program";
    if (performance.now() >= endMs) {
      const problem = `${locks.what} is busy: ${who} has held its lock for ${limitS} s`;
      throw new UserError(`${problem}, try again when it has ended`);
    }
    if (who !== said) {
      said = who;
      await onLines("system", `[${locks.what} is busy: waiting up to ${limitS} s for ${who}]\n`);
    }
    await delay(pauseMs, { signal });
  };
  for (let goesOn = takenUp !== undefined;; goesOn = false) {
    // What goes on holds them itself.
    for (let holder = holderNow(); holder?.certain && !goesOn; holder = holderNow()) {
      await waitFor(holder, LOOK_EVERY_MS);
    }
    const end = await attempt();
    if (!end.locked || signal.aborted) return end;
    await waitFor(holderNow(), TRY_EVERY_MS);
  }
}

function nameOf({ pid, name }: Holder): string {
  return `process ${pid}${name && ` (${name})`}`;
}
