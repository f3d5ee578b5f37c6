import { hasEscapes, parseAnsi, PLAIN, type Span, type Style } from "./ansi.ts";
import type { Entry } from "./messages.ts";

/** A line of a log. */
export interface LogLine {
  readonly stream: string;
  /** As it came. */
  readonly raw: string;
  /** As it is read. */
  readonly text: string;
  /** The style that earlier lines have left on. */
  readonly style: Style;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** The lines of one task, in the order they came. */
export class LogLines {
  readonly all: LogLine[] = [];
  readonly #styles = new Map<string, Style>();

  /** Takes entries; answers the first line that is new or other than before. */
  add(entries: readonly Entry[]): number {
    let changed = this.all.length;
    for (const [stream, text, at] of entries) {
      for (const raw of text.split("\n")) {
        const before = this.all.at(-1);
        // Progress that was cut into entries is still one line that moves.
        if (raw[0] === "\r" && before?.stream === stream && before.raw.includes("\r")) {
          this.all.pop();
          changed = Math.min(changed, this.all.length);
          this.#push({ ...before, raw: before.raw + raw, at });
        } else this.#push({ stream, raw, at, style: this.#styles.get(stream) ?? PLAIN });
      }
    }
    return changed;
  }

  /** A line as spans. */
  spans(index: number): Span[] {
    const line = this.all[index];
    return line ? parseAnsi(line.raw, line.style).spans : [];
  }

  /** Where a text is, whatever its case: the lines, in their order. */
  find(query: string): number[] {
    const wanted = query.toLowerCase();
    return this.all.flatMap(({ text }, index) => text.toLowerCase().includes(wanted) ? index : []);
  }

  #push(line: Omit<LogLine, "text">): void {
    if (!hasEscapes(line.raw)) return void this.all.push({ ...line, text: line.raw });
    const { spans, end } = parseAnsi(line.raw, line.style);
    this.#styles.set(line.stream, end);
    this.all.push({ ...line, text: spans.map(({ text }) => text).join("") });
  }
}
