import { messageOf } from "../system/user_error.ts";

/** The name that the program goes by in its own texts. */
export const PROGRAM = "noderax-agent";

/** Why some of what was printed has not been written. */
let problem: string | undefined;

/** Writes text for a person to standard output; {@linkcode unwritten} tells whether it could. */
export function print(text: string): void {
  try {
    write(Deno.stdout, text);
  } catch (error) {
    // A reader that is gone has seen enough (a closed pipe).
    if (!(error instanceof Deno.errors.BrokenPipe)) problem ??= messageOf(error);
  }
}

/**
 * The sentence about output that is missing, if any is. What a command does matters more than what
 * it says: it is told in the end.
 */
export function unwritten(): string | undefined {
  return problem && `The output could not be written: ${problem}.`;
}

/** Writes a complaint, a line of its own that names the program, to standard error. */
export function complain(sentence: string): void {
  try {
    // It may quote another machine, whose words are not to command the terminal.
    write(Deno.stderr, `${PROGRAM}: ${sentence.replace(/[^\P{Cc}\n]/gu, " ")}\n`);
  } catch {
    // There is nobody to complain to.
  }
}

/** A value inside a line: with control characters in it, it is quoted. */
export function inLine(value: string | number | boolean): string {
  const text = String(value);
  return /\p{Cc}/u.test(text) ? JSON.stringify(text) : text;
}

function write(sink: typeof Deno.stdout, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += sink.writeSync(bytes.subarray(at));
}
