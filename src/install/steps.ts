import { messageOf, UserError } from "../system/user_error.ts";
import type { Stage } from "./stages.ts";

/** What a step has come to. */
export interface Outcome {
  /** What the person is told, in a few words. */
  told: string;
  /** Whether anything is other than before. */
  changed: boolean;
}

/** A part of an installation. It may be done any number of times. */
export interface Step {
  /** What the person is shown it as. */
  name: string;
  /** The stage that the control plane is told when it begins. */
  begins?: Stage;
  /** The stage that the control plane is told when it is done. */
  ends?: Stage;
  /** Whether it speaks with the person meanwhile: it then gets lines of its own. */
  talks?: boolean;
  /** Whether it only looks and never changes anything. */
  looks?: boolean;
  /**
   * Does it, telling how to undo what it is about to do. `changedBefore`: an earlier step has
   * changed something.
   */
  run: (undos: Undos, changedBefore: boolean) => Promise<Outcome>;
}

/** How {@linkcode runSteps} is heard and stopped. */
export interface StepsOptions {
  /** Takes text for the person. */
  print: (text: string) => void;
  /** Stops before the next step; its reason is thrown. */
  signal: AbortSignal;
  /** Hears of the stages. */
  reached?: (stage: Stage) => Promise<void>;
}

/**
 * Runs the steps in their order, a line each. When one fails, what was done is undone, as far as it
 * may be. Throws what the step threw; what the operating system refused becomes a
 * {@linkcode UserError}.
 */
export async function runSteps(steps: readonly Step[], options: StepsOptions): Promise<void> {
  const { print, signal, reached } = options;
  const undos = new Undos();
  let changedBefore = false;
  for (const step of steps) {
    try {
      print(step.talks ? `${step.name}:\n` : `${step.name}: `);
      signal.throwIfAborted();
      if (step.begins) await reached?.(step.begins);
      const { told, changed } = await step.run(undos, changedBefore);
      changedBefore ||= changed;
      print(`${step.talks ? "  " : ""}${told}${changed || step.looks ? "" : ", unchanged"}\n`);
      if (step.ends) await reached?.(step.ends);
    } catch (error) {
      print(`${step.talks ? "  " : ""}${signal.aborted ? "interrupted" : "failed"}\n`);
      await undos.undo(print);
      // A Ctrl-C ends the tools as well; their complaints are none then.
      if (signal.aborted && undos.kept === undefined) throw signal.reason;
      throw asSentence(step, error);
    }
  }
}

interface Undo {
  what: string;
  undo: () => Promise<unknown>;
}

/** What a failure puts back. */
export class Undos {
  #undos: Undo[] = [];
  #last: Undo[] = [];
  #kept: string | undefined;

  /** Undone before all that was added earlier; `what` names what is put back. */
  add(what: string, undo: () => Promise<unknown>): void {
    if (this.#kept === undefined) this.#undos.push({ what, undo });
  }

  /** Undone when all else is. */
  addLast(what: string, undo: () => Promise<unknown>): void {
    if (this.#kept === undefined) this.#last.push({ what, undo });
  }

  /** From now on nothing is undone; `sentence` tells the person of a failure why and what to do. */
  keep(sentence: string): void {
    this.#undos = [];
    this.#last = [];
    this.#kept = sentence;
  }

  /** The sentence of {@linkcode keep}; undefined before. */
  get kept(): string | undefined {
    return this.#kept;
  }

  /** Undoes all, the latest first, and says so. One that fails is told and keeps no other back. */
  async undo(print: (text: string) => void): Promise<void> {
    if (this.#kept !== undefined) print(`${this.#kept}\n`);
    for (const { what, undo } of [...this.#undos.reverse(), ...this.#last]) {
      try {
        await undo();
        print(`Rolled back: ${what}\n`);
      } catch (error) {
        print(`Not rolled back: ${what} (${messageOf(error)})\n`);
      }
    }
    this.#undos = [];
    this.#last = [];
  }
}

/** The operating system's errors carry a code; any other is a bug and stays as it is. */
function asSentence({ name }: Step, error: unknown): unknown {
  if (error instanceof UserError || !(error instanceof Error) || !("code" in error)) return error;
  return new UserError(`${name}: ${error.message}.`, { cause: error });
}
