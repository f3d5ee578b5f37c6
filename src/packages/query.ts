import { linesOf } from "../logs/log_entries.ts";
import { messageOf, UserError } from "../system/user_error.ts";
import type { TaskContext } from "../tasks/task_type.ts";
import { isTimeout } from "../system/deadline.ts";
import { TimeLimit } from "../system/stall.ts";

/** What a program that was asked something had to say. */
export interface Answer {
  /** Its exit code; {@linkcode NO_SUCH_PROGRAM} where it is not there. */
  exitCode: number;
  /** All of its standard output. */
  stdout: string;
  /** All of its standard error. */
  stderr: string;
}

/** Runs a program for what it prints; throws the reason of the task's signal when that aborts. */
export type Query = (...argv: string[]) => Promise<Answer>;

/** The exit code of a program that is not on the PATH. */
export const NO_SUCH_PROGRAM = 127;

/** The exit code of a look that was cut short, as timeout(1) has it. */
const TOO_LATE = 124;

/** The words and the columns that the parsers know, whatever the agent's own language is. */
export const PLAIN = { LC_ALL: "C.UTF-8", LANGUAGE: "", COLUMNS: "100000" };

/** Programs run as part of a task: found and ended with it, but not logged. */
export function queriesOf(context: TaskContext): Query {
  return async (...argv) => {
    const { mask, signal } = context;
    const printed = { stdout: "", stderr: "" };
    const program = await context.start({ argv, env: PLAIN, signal, isLook: true });
    for await (const { stream, lines } of linesOf(program.output, mask)) printed[stream] += lines;
    const { exitCode } = await program.ended;
    signal.throwIfAborted();
    return { exitCode, ...printed };
  };
}

/**
 * The same for a change that may be going on without having been begun here: what that needs to know
 * of a program that was taken up has a limit of its own. Whatever its task is told, its end is waited for.
 */
export function queriesOfChange(context: TaskContext): Query {
  if (!context.takenUp) return queriesOf(context);
  return async (...argv) => {
    using limit = new TimeLimit(LOOK_MS);
    try {
      return await queriesOf({ ...context, signal: limit.signal })(...argv);
    } catch (error) {
      // It must not be ended for a look that takes too long.
      if (isTimeout(error)) return { exitCode: TOO_LATE, stdout: "", stderr: "" };
      throw error;
    }
  };
}

/** What is told where there is no dpkg or no apt. */
export function needsApt(): UserError {
  return new UserError("package tasks need dpkg and apt, or rpm and dnf");
}

/** How long one look at what there is may take, in milliseconds. */
const LOOK_MS = 10_000;
/** How long a look for all that is broken may take, in milliseconds: dnf is asked twice, rpm often. */
export const AUDIT_MS = 60_000;

/**
 * Looks at something after a change, although the task may have been told to end, but not for ever.
 * What cannot be looked at is undefined, and the log says so: it takes nothing from what is known.
 */
export async function afterAll<T>(
  context: TaskContext,
  what: string,
  look: (query: Query) => Promise<T>,
  limitMs: number = LOOK_MS,
): Promise<T | undefined> {
  using limit = new TimeLimit(limitMs);
  try {
    return await look(queriesOf({ ...context, signal: limit.signal }));
  } catch (error) {
    const reason = isTimeout(error) ? `more than ${limitMs / 1_000} s` : messageOf(error);
    await context.onLines("system", `[${what} could not be looked at: ${reason}]\n`);
    return undefined;
  }
}
