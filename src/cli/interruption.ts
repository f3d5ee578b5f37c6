import { UserError } from "../system/user_error.ts";

const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof EXIT_CODES;

const ignore = () => {};

/**
 * While it lasts, SIGINT, SIGTERM and SIGHUP, a terminal that is gone, abort its signal instead of
 * ending the process. A daemon has nothing to reload yet: for it SIGHUP means nothing.
 */
export class Interruption implements Disposable {
  readonly #daemon: boolean;
  readonly #controller = new AbortController();
  readonly #listeners: [StopSignal, () => void][];

  /** The reason of the abort is a {@linkcode UserError} with `sentence` and the shell's exit code. */
  constructor(sentence: string, { daemon = false } = {}) {
    this.#daemon = daemon;
    if (daemon) Deno.addSignalListener("SIGHUP", ignore);
    const names = ["SIGINT", "SIGTERM", ...daemon ? [] : ["SIGHUP"] as const] as const;
    this.#listeners = names.map((name) => [name, () => {
      this.#controller.abort(new UserError(sentence, { exitCode: EXIT_CODES[name] }));
    }]);
    for (const [name, listener] of this.#listeners) Deno.addSignalListener(name, listener);
  }

  /** Aborted by the first of the signals. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Gives the signals back. */
  [Symbol.dispose](): void {
    if (this.#daemon) Deno.removeSignalListener("SIGHUP", ignore);
    for (const [name, listener] of this.#listeners) Deno.removeSignalListener(name, listener);
  }
}
