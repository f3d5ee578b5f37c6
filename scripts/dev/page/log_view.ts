import { make } from "./dom.ts";
import type { LogLines } from "./log_lines.ts";
import { renderLine } from "./log_row.ts";

/** Rows beyond what is seen, so that a small step shows no gap. */
const SPARE_ROWS = 12;
const TAB = 8;

/** How times are shown: not, since the first line, or of the day. */
export type Times = "off" | "since start" | "clock";

/** What a view of a log needs to know. */
export interface LogViewOptions {
  readonly scroller: HTMLElement;
  /** The address of a line. */
  link(line: number): string;
  /** It follows the end, or does so no longer. */
  onFollow(follows: boolean): void;
}

/** A log of any length: only the rows that are seen are there. */
export class LogView {
  query = "";
  /** The line that is pointed at. */
  current = -1;
  #lines: LogLines;
  #times: Times = "off";
  #follows = true;
  #wraps = false;
  /** With wrapped lines: how many rows end with each line. */
  #ends: number[] = [];
  #columns = 0;
  /** How it was scrolled last. */
  #before = { top: 0, height: 0, all: 0 };
  #rowHeight = 18;
  #charWidth = 8;
  readonly #options: LogViewOptions;
  readonly #space = make("div", { className: "space" });
  readonly #slice = make("div", { className: "slice" });
  readonly #rows = new Map<number, HTMLElement>();
  #drawing = 0;

  constructor(lines: LogLines, options: LogViewOptions) {
    this.#lines = lines;
    this.#options = options;
    const { scroller } = options;
    this.#space.append(this.#slice);
    scroller.append(this.#space);
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#measure()).observe(scroller);
  }

  /** Shows another log, or the same one from its beginning. */
  set lines(lines: LogLines) {
    this.#lines = lines;
    this.#ends = [];
    this.current = -1;
    this.#options.scroller.scrollTop = 0;
    this.#remember();
    this.follow(true);
    this.redraw();
  }

  get follows(): boolean {
    return this.#follows;
  }

  /** Stays at the end from now on, or no longer. */
  follow(follows: boolean): void {
    this.#follows = follows;
    this.#options.onFollow(follows);
    if (follows) this.#drawSoon();
  }

  set wraps(wraps: boolean) {
    const top = this.#lineAt(this.#options.scroller.scrollTop);
    this.#wraps = wraps;
    this.#options.scroller.classList.toggle("wraps", wraps);
    this.#ends = [];
    this.redraw();
    if (!this.#follows) this.#options.scroller.scrollTop = this.#top(top);
  }

  set times(times: Times) {
    this.#times = times;
    this.#measure();
  }

  /** Lines from this one on are new. */
  changed(from: number): void {
    this.#ends.length = Math.min(this.#ends.length, from);
    for (const [index, row] of this.#rows) {
      if (index < from) continue;
      row.remove();
      this.#rows.delete(index);
    }
    this.#drawSoon();
  }

  /** Draws all rows anew. */
  redraw(): void {
    this.changed(0);
  }

  /** Shows a line and points at it. */
  goTo(line: number): void {
    this.current = line;
    this.follow(false);
    const { scroller } = this.#options;
    this.#size();
    scroller.scrollTop = Math.max(0, this.#top(line) - scroller.clientHeight / 3);
    this.redraw();
  }

  #scrolled(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.#options.scroller;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < this.#rowHeight * 1.5;
    const { top, height, all } = this.#before;
    // Only a person goes up while the window and the log are no smaller than they were.
    const hasGoneUp = scrollTop < top - 1 && clientHeight === height && scrollHeight >= all;
    const follows = isAtEnd || (this.#follows && !hasGoneUp);
    this.#remember();
    if (follows !== this.#follows) {
      this.#follows = follows;
      this.#options.onFollow(follows);
    }
    this.#draw();
  }

  #remember(): void {
    const { scrollTop: top, scrollHeight: all, clientHeight: height } = this.#options.scroller;
    this.#before = { top, height, all };
  }

  #measure(): void {
    const probe = make("div", { className: "row" }, make("span", {}, "0".repeat(100)));
    this.#slice.append(probe);
    const { width, height } = probe.firstElementChild?.getBoundingClientRect() ?? {};
    this.#rowHeight = probe.getBoundingClientRect().height || height || 18;
    this.#charWidth = (width ?? 800) / 100;
    probe.remove();
    this.#ends = [];
    this.redraw();
  }

  #drawSoon(): void {
    this.#options.scroller.ariaBusy = "true";
    this.#drawing ||= requestAnimationFrame(() => {
      this.#draw();
      if (this.#follows) {
        this.#options.scroller.scrollTop = this.#options.scroller.scrollHeight;
        this.#remember();
        this.#draw();
      }
      this.#drawing = 0;
      this.#options.scroller.ariaBusy = "false";
    });
  }

  #size(): void {
    const { all } = this.#lines;
    const digits = Math.max(3, String(all.length).length);
    const { scroller } = this.#options;
    scroller.style.setProperty("--digits", `${digits}`);
    if (this.#wraps) {
      const gutter = digits + 6 + (this.#times === "off" ? 0 : 13);
      const columns = Math.max(10, Math.floor(scroller.clientWidth / this.#charWidth - gutter - 1));
      if (columns !== this.#columns) this.#ends = [];
      this.#columns = columns;
      scroller.style.setProperty("--columns", `${columns}`);
      for (let line = this.#ends.length; line < all.length; line++) {
        const rows = Math.max(1, Math.ceil(cells(all[line]?.text ?? "") / columns));
        this.#ends.push((this.#ends[line - 1] ?? 0) + rows);
      }
    }
    this.#space.style.height = `${this.#top(all.length)}px`;
  }

  #top(line: number): number {
    return (this.#wraps ? this.#ends[line - 1] ?? 0 : line) * this.#rowHeight;
  }

  #lineAt(top: number): number {
    const row = Math.floor(top / this.#rowHeight);
    if (!this.#wraps) return row;
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ends[middle] ?? 0) <= row) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #draw(): void {
    this.#size();
    const { all } = this.#lines;
    const { scrollTop, clientHeight } = this.#options.scroller;
    const first = Math.max(0, this.#lineAt(scrollTop) - SPARE_ROWS);
    const end = Math.min(all.length, this.#lineAt(scrollTop + clientHeight) + SPARE_ROWS);
    for (const [index, row] of this.#rows) {
      if (index >= first && index < end) continue;
      row.remove();
      this.#rows.delete(index);
    }
    let next: Node | null = null;
    for (let index = end - 1; index >= first; index--) {
      let row = this.#rows.get(index);
      if (!row) {
        row = this.#row(index);
        this.#rows.set(index, row);
        this.#slice.insertBefore(row, next);
      }
      next = row;
    }
    this.#slice.style.transform = `translateY(${this.#top(first)}px)`;
  }

  #row(index: number): HTMLElement {
    const line = this.#lines.all[index];
    const number = make("a", { className: "number", href: this.#options.link(index + 1) });
    number.dataset.number = String(index + 1);
    number.ariaLabel = `line ${index + 1}`;
    number.tabIndex = -1;
    const text = renderLine(this.#lines.spans(index), this.query);
    const row = make("div", { className: `row stream-${line?.stream}` }, number);
    if (this.#times !== "off") row.append(make("time", {}, this.#time(line?.at ?? 0)));
    row.classList.toggle("current", index === this.current);
    row.append(text);
    return row;
  }

  #time(at: number): string {
    if (this.#times === "clock") {
      const date = new Date(at);
      const part = (value: number, length = 2) => String(value).padStart(length, "0");
      const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((it) => part(it));
      return `${clock.join(":")}.${part(date.getMilliseconds(), 3)}`;
    }
    return `+${((at - (this.#lines.all[0]?.at ?? at)) / 1000).toFixed(3)}`;
  }
}

/** How many columns a text takes in a terminal: a tab goes on to the next stop, some take two. */
function cells(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (character === "\t") width += TAB - width % TAB;
    else {width += code >= 0x1100 &&
          /[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/u
            .test(character)
        ? 2
        : 1;}
  }
  return width;
}
