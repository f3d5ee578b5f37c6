import { lockHolder } from "../system/kernel_locks.ts";
import type { TaskContext } from "../tasks/task_type.ts";

/** How long apt waits for another one that holds dpkg's lock, in seconds. */
export const LOCK_WAIT_S = 120;
/** What apt takes first of all, and keeps to its end. */
const LOCK = "/var/lib/dpkg/lock-frontend";
/** apt writes this once a second; the line ends when the next one begins. */
const WAITING = /^Waiting for cache lock: .*\n/gm;

/**
 * Tells once, not once a second, that apt waits for dpkg's lock. What apt says of it is not enough:
 * whether it says anything is left to chance when its output is no terminal, and to its settings.
 */
export class LockWait {
  readonly #onLines: TaskContext["onLines"];
  readonly #holder: typeof lockHolder;
  #told = "";

  /** `holder` tells who holds the lock. */
  constructor(onLines: TaskContext["onLines"], holder = lockHolder) {
    this.#onLines = onLines;
    this.#holder = holder;
  }

  /** Looks whether apt, which is about to begin, will have to wait. */
  async look(): Promise<void> {
    const holder = this.#holder(LOCK);
    if (!holder) return;
    const who = `process ${holder.pid}${holder.name && ` (${holder.name})`}`;
    if (holder.certain) await this.#tell(who);
    // Whether apt waits at all is then for its own lines to tell.
    else await this.#onLines("system", `[dpkg is busy perhaps: ${who} may hold its lock]\n`);
  }

  /** Passes on apt's lines, but for those that say that it waits. */
  async push(stream: "stdout" | "stderr" | "system", lines: string): Promise<void> {
    for (const [wait] of lines.matchAll(WAITING)) {
      await this.#tell(/held by (process .*)\.{3}$/m.exec(wait)?.[1] ?? "another process");
    }
    const rest = lines.replaceAll(WAITING, "");
    if (rest !== "") await this.#onLines(stream, rest);
  }

  async #tell(holder: string): Promise<void> {
    if (holder === this.#told) return;
    this.#told = holder;
    await this.#onLines("system", `[dpkg is busy: waiting up to ${LOCK_WAIT_S} s for ${holder}]\n`);
  }
}
