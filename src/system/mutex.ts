import { abortable } from "@std/async";

/** Lets one piece of work at a time go on; the others wait in the order in which they came. */
export class Mutex {
  #last: Promise<void> = Promise.resolve();
  #taken = 0;

  /**
   * Does `work` when its turn has come; `onWait` is called first if that is not at once.
   *
   * @throws the reason of `signal` if it aborts before, and what `work` throws.
   */
  async take<T>(
    work: () => Promise<T>,
    signal?: AbortSignal,
    onWait?: () => Promise<void>,
  ): Promise<T> {
    const done = Promise.withResolvers<void>();
    const before = this.#last;
    this.#last = before.then(() => done.promise);
    this.#taken++;
    try {
      if (this.#taken > 1) await onWait?.();
      await (signal ? abortable(before, signal) : before);
      return await work();
    } finally {
      this.#taken--;
      done.resolve();
    }
  }

  /** Has whoever comes later wait for what has had its turn before, until that is disposed of. */
  hold(): Disposable {
    const done = Promise.withResolvers<void>();
    const before = this.#last;
    this.#last = before.then(() => done.promise);
    this.#taken++;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#taken--;
        isHeld = false;
        done.resolve();
      },
    };
  }

  /** Resolves when all that has come so far is done. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
