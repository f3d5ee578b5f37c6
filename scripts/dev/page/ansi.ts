/**
 * Text with ANSI escapes as spans. It is done here because a log needs plain text to search and
 * count, nodes in place of HTML, and carriage returns that go back: no library has all three.
 */

/** How characters look; "" is the page's own colour, "0" to "15" are the theme's. */
export interface Style {
  readonly fg: string;
  readonly bg: string;
  /** Names of classes: bold, dim, italic, underline, inverse, strike. */
  readonly marks: string;
}

/** Characters that look the same. */
export interface Span {
  readonly text: string;
  readonly style: Style;
}

/** Nothing special. */
export const PLAIN: Style = { fg: "", bg: "", marks: "" };

const ESCAPE =
  // deno-lint-ignore no-control-regex
  /\x1b\[([0-9;:]*)m|\x1b\[([0-?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f]/g;
const MARKS: Record<number, string> = {
  1: "bold",
  2: "dim",
  3: "italic",
  4: "underline",
  7: "inverse",
  9: "strike",
};
const LEVELS = [0, 95, 135, 175, 215, 255];

/** True for text that is not shown as it is. */
export function hasEscapes(text: string): boolean {
  // deno-lint-ignore no-control-regex
  return /[\x00-\x08\x0b-\x1f\x7f]/.test(text);
}

/** The text as it is seen at last, and how text behind it begins. */
export function parseAnsi(raw: string, style: Style): { spans: Span[]; end: Style } {
  if (!hasEscapes(raw)) return { spans: raw ? [{ text: raw, style }] : [], end: style };
  const line = new Line();
  let now = style;
  let from = 0;
  for (const match of raw.matchAll(ESCAPE)) {
    line.write(raw.slice(from, match.index), now);
    from = match.index + match[0].length;
    const [all, graphics, parameter, final] = match;
    if (graphics !== undefined) now = applied(graphics, now);
    else if (all === "\r") line.at = 0;
    else if (all === "\b") line.at = Math.max(0, line.at - 1);
    else if (final === "K") line.erase(parameter ?? "");
    else if (final === "G") line.at = Math.max(0, Number(parameter || 1) - 1);
  }
  line.write(raw.slice(from), now);
  return { spans: line.spans(), end: now };
}

/** A line that can be written over; it is cheap as long as nobody does. */
class Line {
  at = 0;
  #characters: string[] = [];
  #styles: Style[] = [];

  write(text: string, style: Style): void {
    for (const character of text) {
      while (this.#characters.length < this.at) this.#put(this.#characters.length, " ", PLAIN);
      this.#put(this.at++, character, style);
    }
  }

  erase(what: string): void {
    if (what === "2") this.#characters.fill(" ");
    else if (what === "1") this.#characters.fill(" ", 0, this.at + 1);
    else {
      this.#characters.length = Math.min(this.#characters.length, this.at);
      this.#styles.length = this.#characters.length;
    }
  }

  spans(): Span[] {
    const spans: Span[] = [];
    let from = 0;
    this.#styles.forEach((style, index) => {
      if (this.#styles[index + 1] === style) return;
      spans.push({ text: this.#characters.slice(from, index + 1).join(""), style });
      from = index + 1;
    });
    return spans;
  }

  #put(at: number, character: string, style: Style): void {
    this.#characters[at] = character;
    this.#styles[at] = style;
  }
}

/** The style after `ESC [ … m`. */
function applied(graphics: string, before: Style): Style {
  const codes = graphics.split(/[;:]/).map(Number);
  let { fg, bg } = before;
  const marks = new Set(before.marks.split(" ").filter((it) => it));
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0;
    if (code === 0) {
      fg = bg = "";
      marks.clear();
    } else if (MARKS[code]) marks.add(MARKS[code]);
    else if (code === 22) { for (const mark of ["bold", "dim"]) marks.delete(mark); }
    else if (code > 22 && MARKS[code - 20]) marks.delete(MARKS[code - 20] ?? "");
    else if (code >= 30 && code <= 37) fg = String(code - 30);
    else if (code >= 40 && code <= 47) bg = String(code - 40);
    else if (code >= 90 && code <= 97) fg = String(code - 82);
    else if (code >= 100 && code <= 107) bg = String(code - 92);
    else if (code === 39) fg = "";
    else if (code === 49) bg = "";
    else if (code === 38 || code === 48) {
      const { color, length } = extended(codes.slice(at + 1));
      at += length;
      if (code === 38) fg = color;
      else bg = color;
    }
  }
  return { fg, bg, marks: [...marks].join(" ") };
}

/** `5;n` and `2;r;g;b`: a colour, and how many codes it takes. */
function extended([kind, a = 0, b = 0, c = 0]: number[]): { color: string; length: number } {
  if (kind === 2) return { color: `rgb(${a} ${b} ${c})`, length: 4 };
  if (kind !== 5) return { color: "", length: 1 };
  if (a < 16) return { color: String(a), length: 2 };
  if (a >= 232) {
    const grey = 8 + (a - 232) * 10;
    return { color: `rgb(${grey} ${grey} ${grey})`, length: 2 };
  }
  const part = (by: number) => LEVELS[Math.floor((a - 16) / by) % 6] ?? 0;
  return { color: `rgb(${part(36)} ${part(6)} ${part(1)})`, length: 2 };
}
