/**
 * A line that a program writes over again and again, as progress bars do: what counts is its newest
 * state, as on a terminal. What was shown of it before its end is not shown twice.
 */
export class ProgressLine {
  #shown: string | undefined;
  #isRewritten = false;

  /** Whether something of it was shown already, or written over. */
  get isRepeated(): boolean {
    return this.#isRewritten || this.#shown !== undefined;
  }

  /** What has to be kept of the line so far. */
  rest(line: string): string {
    if (!line.includes("\r")) return line;
    this.#isRewritten = true;
    // The next character may make a line's end of it.
    return newestState(line) + (line.endsWith("\r") ? "\r" : "");
  }

  /** What there is to be shown of the line so far, with a newline, or "". */
  show(line: string): string {
    const state = newestState(line);
    if (this.#isOld(state)) return "";
    this.#shown = state;
    return state + "\n";
  }

  /** Takes whole lines, the first of which is the one that was kept; returns what is to be shown. */
  end(lines: string): string {
    if (lines === "") return "";
    const firstEnd = lines.indexOf("\n") + 1;
    const first = lines.slice(0, firstEnd - 1);
    const state = newestState(first);
    this.#isRewritten ||= first.includes("\r");
    const isOld = this.#shown !== undefined && this.#isOld(state);
    this.#shown = undefined;
    this.#isRewritten = false;
    const others = lines.slice(firstEnd);
    return (isOld ? "" : state + "\n") +
      (others.includes("\r") ? others.split("\n").map(newestState).join("\n") : others);
  }

  #isOld(state: string): boolean {
    return state === "" || (this.#isRewritten && state === this.#shown);
  }
}

/** What a terminal shows of a line in the end, but for what a shorter state leaves of a longer one. */
function newestState(line: string): string {
  if (!line.includes("\r")) return line;
  const text = line.replace(/\r+$/, "");
  return text.slice(text.lastIndexOf("\r") + 1);
}
