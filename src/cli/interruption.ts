import { UserError } from "../system/user_error.ts";

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof EXIT_CODES;

/** While it lasts, SIGINT and SIGTERM abort its signal instead of ending the process. */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly #listeners: [StopSignal, () => void][];

  /** The reason of the abort is a {@linkcode UserError} with `sentence` and the shell's exit code. */
  constructor(sentence: string) {
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
    for (const [name, listener] of this.#listeners) Deno.removeSignalListener(name, listener);
  }
}
