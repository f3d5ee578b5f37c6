import { FitAddon } from "@xterm/addon-fit";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal as Screen } from "@xterm/xterm";
import { make } from "./dom.ts";
import type { PageRequest, SizeAt, TerminalNews } from "./messages.ts";
import { theme, wantsCalm } from "./terminal_theme.ts";

const NAMES_KEY = "terminal-names";
const SCROLLBACK = 10_000;

/** What a terminal needs of the page. */
export interface Connection {
  ask(request: PageRequest): boolean;
  type(sessionId: string, bytes: Uint8Array): void;
  /** True for keys that are the page's own. */
  isShortcut(event: KeyboardEvent): boolean;
}

/** One terminal with its tab. */
export class TerminalTab {
  readonly sessionId: string;
  readonly pane = make("div", { className: "pane", role: "tabpanel" });
  readonly button = make("button", { type: "button", className: "tab", role: "tab" });
  /** For the mouse: a list of tabs may have nothing but tabs, so the keyboard has Delete. */
  readonly closer = make("button", { type: "button", className: "close", tabIndex: -1 }, "×");
  readonly element = make("span", { className: "tab-box" }, this.button, this.closer);
  readonly #fallbackName: string;
  readonly #connection: Connection;
  readonly #fit = new FitAddon();
  readonly #screen = new Screen({
    cursorBlink: !wantsCalm.matches,
    fontSize: 13,
    fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace',
    scrollback: SCROLLBACK,
    screenReaderMode: false,
    minimumContrastRatio: 4.5,
    theme: theme(),
  });
  /** Whether the agent can be reached. */
  isConnected = true;
  readonly #typedAhead: Uint8Array[] = [];
  #status: TerminalNews["status"] = "starting";
  #note = "";
  /** The sizes of the output that comes first: all that was before. */
  #replay: SizeAt[] | undefined;
  #isReplaying = true;

  constructor(sessionId: string, name: string, sizes: SizeAt[], connection: Connection) {
    this.sessionId = sessionId;
    this.#fallbackName = name;
    this.#replay = sizes;
    this.#connection = connection;
    this.pane.id = `pane-${sessionId}`;
    this.closer.ariaHidden = "true";
    this.button.id = `tab-${sessionId}`;
    this.button.setAttribute("aria-controls", this.pane.id);
    this.pane.setAttribute("aria-labelledby", this.button.id);
    this.button.title = "F2 or a double click renames it";
    this.#showName();
    this.#screen.loadAddon(this.#fit);
    this.#screen.loadAddon(new WebLinksAddon());
    this.#screen.attachCustomKeyEventHandler((event) => this.#passesKey(event));
    this.#screen.onData((text) => this.type(text));
    this.#screen.onBinary((text) => this.#type(Uint8Array.from(text, (it) => it.charCodeAt(0))));
    this.#screen.onResize(() => this.resize());
  }

  get name(): string {
    return names()[this.sessionId] ?? this.#fallbackName;
  }

  set name(name: string) {
    localStorage.setItem(NAMES_KEY, JSON.stringify({ ...names(), [this.sessionId]: name }));
    this.#showName();
  }

  #showName(): void {
    this.button.textContent = this.name;
    this.closer.title = `Close ${this.name} (Delete on its tab)`;
  }

  /** Why it ended; undefined while it has not. */
  get ended(): string | undefined {
    if (this.#status !== "closed" && this.#status !== "failed") return undefined;
    return `${this.name} ${this.#status === "closed" ? "ended" : "failed"}${
      this.#note ? `: ${this.#note}` : ""
    }`;
  }

  /** Puts it into the page: only there can it be measured. */
  open(): void {
    this.#screen.open(this.pane);
  }

  /** Shows output; the first one is all that was before, each part at the width it was made for. */
  async write(bytes: Uint8Array): Promise<void> {
    const sizes = this.#replay;
    if (!sizes) return this.#screen.write(bytes);
    this.#replay = undefined;
    for (const [index, [at, cols, rows]] of sizes.entries()) {
      this.#screen.resize(Math.max(2, cols), Math.max(2, rows));
      const part = bytes.subarray(at, sizes[index + 1]?.[0]);
      await new Promise<void>((resolve) => this.#screen.write(part, resolve));
    }
    this.#isReplaying = false;
    this.fit();
    this.resize();
  }

  /** Types text. */
  type(text: string): void {
    this.#type(new TextEncoder().encode(text));
  }

  /** Pastes text, as the program wants it. */
  paste(text: string): void {
    this.#screen.paste(text);
  }

  /** Shows how the session stands. */
  show({ status, note }: TerminalNews): void {
    this.#status = status;
    this.#note = note ?? "";
    this.button.dataset.status = status;
    if (status !== "open") return;
    this.resize();
    for (const bytes of this.#typedAhead.splice(0)) this.#connection.type(this.sessionId, bytes);
  }

  /** Fills its pane. */
  fit(): void {
    if (this.pane.clientWidth > 0 && !this.#isReplaying) this.#fit.fit();
  }

  /** Tells the agent its size, within the limits it takes. */
  resize(): void {
    if (this.#isReplaying || !this.isConnected || this.#status !== "open") return;
    const { cols, rows } = this.#screen;
    const size = { cols: clamp(cols, 20, 400), rows: clamp(rows, 10, 200) };
    this.#connection.ask({ type: "resize", sessionId: this.sessionId, ...size });
  }

  /** Selects the next place with this text above the one selected, or the last one. */
  find(query: string): boolean {
    const { active } = this.#screen.buffer;
    const from = this.#screen.getSelectionPosition()?.start.y ?? active.length;
    for (let step = 1; step <= active.length && query; step++) {
      const y = (from - step + 2 * active.length) % active.length;
      const text = active.getLine(y)?.translateToString(true).toLowerCase() ?? "";
      const x = text.indexOf(query.toLowerCase());
      if (x < 0) continue;
      this.#screen.select(x, y, query.length);
      this.#screen.scrollToLine(Math.max(0, y - 3));
      return true;
    }
    this.#screen.clearSelection();
    return false;
  }

  /** Takes the colours of the page, and moves no more than a person wants. */
  adapt(): void {
    this.#screen.options.theme = theme();
    this.#screen.options.cursorBlink = !wantsCalm.matches;
  }

  focus(): void {
    this.#screen.focus();
  }

  remove(): void {
    this.#screen.dispose();
    this.element.remove();
    this.pane.remove();
  }

  #type(bytes: Uint8Array): void {
    // What a program asked the terminal before this page was there has been answered already.
    if (this.#isReplaying || !this.isConnected) return;
    if (this.#status === "open") this.#connection.type(this.sessionId, bytes);
    else if (this.#status === "starting") this.#typedAhead.push(bytes);
  }

  #passesKey(event: KeyboardEvent): boolean {
    if (this.#connection.isShortcut(event)) return false;
    const isCopy = event.ctrlKey && event.code === "KeyC" &&
      (event.shiftKey || this.#screen.hasSelection());
    const isPaste = event.ctrlKey && event.shiftKey && event.code === "KeyV";
    // The browser's own paste event follows.
    if (isPaste) return false;
    if (!isCopy) return true;
    if (event.type === "keydown") {
      event.preventDefault();
      void navigator.clipboard.writeText(this.#screen.getSelection());
      this.#screen.clearSelection();
    }
    return false;
  }
}

function names(): Record<string, string> {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(NAMES_KEY) ?? "{}");
    const all = typeof stored === "object" && stored !== null ? Object.entries(stored) : [];
    return Object.fromEntries(all.slice(-100));
  } catch {
    return {};
  }
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
