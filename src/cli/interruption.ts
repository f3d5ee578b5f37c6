import { UserError } from "../system/user_error.ts";

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof EXIT_CODES;

const ignore = () => {};

/**
 * While it lasts, SIGINT and SIGTERM abort its signal instead of ending the process. A daemon has
 * nothing to reload yet: for it SIGHUP means nothing.
 */
export class Interruption implements Disposable {
  readonly #daemon: boolean;
  readonly #controller = new AbortController();
  readonly #listeners: [StopSignal, () => void][];

  /** The reason of the abort is a {@linkcode UserError} with `sentence` and the shell's exit code. */
  constructor(sentence: string, { daemon = false } = {}) {
    this.#daemon = daemon;
    if (daemon) Deno.addSignalListener("SIGHUP", ignore);
    this.#listeners = (["SIGINT", "SIGTERM"] as const).map((name) => [name, () => {
      this.#controller.abort(new UserError(sentence, { exitCode: EXIT_CODES[name] }));
    }]);
    for (const [name, listener] of this.#listeners) Deno.addSignalListener(name, listener);
  }

  /** Aborted by the first of the two signals. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Gives the signals back. */
  [Symbol.dispose](): void {
    if (this.#daemon) Deno.removeSignalListener("SIGHUP", ignore);
    for (const [name, listener] of this.#listeners) Deno.removeSignalListener(name, listener);
  }
}
