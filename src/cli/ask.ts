import { print } from "./output.ts";

/**
 * Asks until the answer is one: `complaint` says what is wrong with it. Gives undefined when the
 * lines, those of standard input for example, end before that.
 */
export async function ask(
  question: string,
  complaint: (answer: string) => string | undefined,
  lines: AsyncIterator<string>,
): Promise<string | undefined> {
  for (;;) {
    print(question);
    const { value, done } = await lines.next();
    if (done) {
      print("\n");
      return undefined;
    }
    const answer = value.trim();
    const wrong = complaint(answer);
    if (!wrong) return answer;
    print(`${wrong}\n`);
  }
}

/** The lines of a text stream, such as standard input, without their ends. */
export async function* readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest) yield rest;
}

/** Asks the person at the terminal; anything but a yes is a no. */
export async function askYesNo(question: string): Promise<boolean> {
  const answer = await ask(`${question} [y/N] `, () => undefined, readLines(Deno.stdin.readable));
  return /^y(es)?$/i.test(answer ?? "");
}
