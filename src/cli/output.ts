/** The name that the program goes by in its own texts. */
export const PROGRAM = "noderax-agent";

/** Writes text for a person to standard output. */
export function print(text: string): void {
  write(Deno.stdout, text);
}

/** Writes a complaint, a line of its own that names the program, to standard error. */
export function complain(sentence: string): void {
  // It may quote another machine, whose words are not to command the terminal.
  write(Deno.stderr, `${PROGRAM}: ${sentence.replace(/[^\P{Cc}\n]/gu, " ")}\n`);
}

function write(sink: typeof Deno.stdout, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += sink.writeSync(bytes.subarray(at));
  } catch {
    // The reader is gone (a closed pipe): what the command does matters more.
  }
}
