import { ProgressLine } from "./progress_line.ts";
import { type MaskedStream, SecretMask } from "./secret_mask.ts";

/** The longest text of one log entry, in code points (contract: Tasks over HTTP, `logs`). */
export const MAX_ENTRY_CODE_POINTS = 5_000;

/**
 * Turns the bytes of a stream into whole lines that the control plane can store.
 *
 * UTF-8 may be split anywhere; invalid bytes and NUL become U+FFFD; `\r\n` ends a line like `\n`;
 * a line of more than 5000 code points is cut into consecutive ones. Secrets are masked before.
 */
export class LineDecoder {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #masked: MaskedStream;
  readonly #progress: ProgressLine | undefined;
  #partial = "";

  /**
   * `mask` knows the secrets; there are none by default. With `forPeople` of a line that is written
   * over only the newest state comes out.
   */
  constructor(mask: SecretMask = new SecretMask([]), forPeople = false) {
    this.#masked = mask.stream();
    this.#progress = forPeople ? new ProgressLine() : undefined;
  }

  /** Whether a line was begun. */
  get hasBegun(): boolean {
    return this.#partial !== "";
  }

  /** Whether something of that line was shown already, or written over. */
  get isRepeated(): boolean {
    return this.#progress?.isRepeated ?? false;
  }

  /** What was begun, as a line of its own, or "": it may be waited for long. Only for people. */
  show(): string {
    const shown = this.#progress?.show(this.#partial) ?? "";
    this.#partial = "";
    return cutLongLines(shown);
  }

  /** Takes the next bytes; returns the lines they complete, each with its `\n`, or "". */
  push(bytes: Uint8Array): string {
    return this.#take(this.#masked.push(this.#decoder.decode(bytes, { stream: true })));
  }

  /** Ends the stream: returns what was not ended by a newline as a last line, or "". */
  end(): string {
    const lines = this.#take(this.#masked.push(this.#decoder.decode()) + this.#masked.end());
    const last = this.#partial;
    this.#partial = "";
    return last === "" ? lines : lines + this.#wholeLines(last + "\n");
  }

  #take(decoded: string): string {
    if (decoded === "") return "";
    let text = this.#partial + decoded.replaceAll("\0", "\ufffd");
    if (text.includes("\r\n")) text = text.replaceAll("\r\n", "\n");
    const end = text.lastIndexOf("\n") + 1;
    const lines = this.#wholeLines(text.slice(0, end));
    const rest = text.slice(end);
    this.#partial = this.#progress?.rest(rest) ?? rest;
    return lines + this.#cutPartial();
  }

  #wholeLines(lines: string): string {
    return cutLongLines(this.#progress?.end(lines) ?? lines);
  }

  /** A line that never ends must not fill the memory: all but its last piece can go already. */
  #cutPartial(): string {
    if (this.#partial.length <= 2 * MAX_ENTRY_CODE_POINTS) return "";
    // A carriage return at the end may turn out to be half of a line's end.
    const held = this.#partial.endsWith("\r") ? "\r" : "";
    const whole = this.#partial.slice(0, this.#partial.length - held.length);
    const cut = cutLongLines(whole + "\n").slice(0, -1);
    const end = cut.lastIndexOf("\n") + 1;
    this.#partial = cut.slice(end) + held;
    return cut.slice(0, end);
  }
}

/** Text as the control plane's database can store it: without NUL and lone surrogates. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\ufffd");
}

/** Cuts the lines of `text`, which ends with a newline or is empty, to at most 5000 code points each. */
export function cutLongLines(text: string): string {
  let result = "";
  let kept = 0;
  for (let at = 0; at < text.length;) {
    // A jump of the longest length that lands behind a newline has passed no line that is longer.
    const newline = text.lastIndexOf("\n", at + MAX_ENTRY_CODE_POINTS);
    if (newline >= at) {
      at = newline + 1;
      continue;
    }
    const end = endOfCodePoints(text, at, MAX_ENTRY_CODE_POINTS);
    const lineEnd = text.indexOf("\n", at);
    if (lineEnd <= end) {
      at = lineEnd + 1;
      continue;
    }
    result += text.slice(kept, end) + "\n";
    kept = at = end;
  }
  return kept === 0 ? text : result + text.slice(kept);
}

/** The index behind the `count`th code point from `start`; pairs of surrogates are not split. */
function endOfCodePoints(text: string, start: number, count: number): number {
  let at = start;
  for (let left = count; left > 0 && at < text.length; left--) {
    at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  }
  return at;
}
