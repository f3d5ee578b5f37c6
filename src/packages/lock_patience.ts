import { delay } from "@std/async";
import type { Holder } from "../system/kernel_locks.ts";
import type { TaskContext } from "../tasks/task_type.ts";

/** How long a change waits for another one of somebody else's, in seconds. */
export const LOCK_WAIT_S = 120;
/** How often it is looked whether the lock is free, in milliseconds. */
const LOOK_EVERY_MS = 500;

/** Waits for a lock that the package manager would fail on at once: one limit for the whole change. */
export class LockPatience {
  readonly #context: TaskContext;
  readonly #what: string;
  readonly #limitMs: number;
  #waitedMs = 0;
  #said = "";

  /** `what` is busy while the lock is held. */
  constructor(context: TaskContext, what: string, limitMs = LOCK_WAIT_S * 1_000) {
    this.#context = context;
    this.#what = what;
    this.#limitMs = limitMs;
  }

  /** Waits until nobody holds it, or the time is over: then the package manager has its own word. */
  async untilFree(look: () => Holder | undefined): Promise<void> {
    for (let holder = look(); holder; holder = look()) {
      if (!await this.again(holder)) return;
    }
  }

  /** Waits a moment for whoever it is; false when the time is over. */
  async again(holder: Holder | undefined): Promise<boolean> {
    if (this.#waitedMs >= this.#limitMs) return false;
    const name = holder?.name && ` (${holder.name})`;
    const who = holder ? `process ${holder.pid}${name}` : "another program";
    if (who !== this.#said) {
      this.#said = who;
      const limit = `waiting up to ${Math.round(this.#limitMs / 1_000)} s for ${who}`;
      await this.#context.onLines("system", `[${this.#what} is busy: ${limit}]\n`);
    }
    await delay(LOOK_EVERY_MS, { signal: this.#context.signal });
    this.#waitedMs += LOOK_EVERY_MS;
    return true;
  }
}
