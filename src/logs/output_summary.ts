import type { LogStream } from "../control_plane/schemas.ts";

/** Of an accepted output the control plane keeps this many UTF-16 units (contract: Tasks over HTTP). */
export const MAX_OUTPUT_UNITS = 8_000;
const HEAD = MAX_OUTPUT_UNITS / 2;
/** One more for the last newline, which is not shown. */
const TAIL = HEAD + 1;
const STDERR_MARK = "[stderr] ";

/** The beginning and the end of what a task printed, for the `output` of its completion. */
export class OutputSummary {
  #head = "";
  #tail = "";
  #units = 0;
  /** How much more fits into the beginning. */
  #room = HEAD;

  /** Takes whole lines, each with its newline. What the agent itself has to say is not output. */
  push(stream: LogStream, lines: string): void {
    if (stream === "system" || lines === "") return;
    const text = stream === "stderr" ? markLines(lines) : lines;
    const room = this.#room;
    this.#head += text.slice(0, room);
    this.#room -= Math.min(room, text.length);
    // The beginning of a long text would be copied to be thrown away.
    const rest = text.slice(Math.max(room, text.length - TAIL));
    if (rest !== "") this.#tail = (this.#tail + rest).slice(-TAIL);
    this.#units += text.length;
  }

  /** Leaves out what is missing: so many bytes, of which nobody knows how many characters they were. */
  skip(bytes: number): void {
    if (bytes <= 0) return;
    this.#room = 0;
    this.#tail = "";
    this.#units += bytes;
  }

  /**
   * At most 8000 UTF-16 units: all of it, or its two ends around a note of how much was left
   * out. A pair of surrogates is never split.
   */
  toString(): string {
    const all = (this.#head + this.#tail).replace(/\n$/, "");
    const leftOut = this.#units - this.#head.length - this.#tail.length;
    if (leftOut === 0) return all;
    const note = (n: number) => `\n[… ${n} characters left out …]\n`;
    const each = Math.floor((MAX_OUTPUT_UNITS - note(this.#units).length) / 2);
    const head = this.#head.slice(0, each).replace(/[\ud800-\udbff]$/, "");
    const tail = this.#tail.replace(/\n$/, "").slice(-each).replace(/^[\udc00-\udfff]/, "");
    return head + note(this.#units - head.length - tail.length) + tail;
  }
}

function markLines(lines: string): string {
  return STDERR_MARK + lines.slice(0, -1).replaceAll("\n", `\n${STDERR_MARK}`) + "\n";
}
