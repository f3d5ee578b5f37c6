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
