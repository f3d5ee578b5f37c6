/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { FitAddon } from "@xterm/addon-fit";
import { type ITheme, Terminal as Screen } from "@xterm/xterm";
import { byId, make } from "./dom.ts";
import type { PageRequest, TerminalNews } from "./messages.ts";

/** The usual blue cannot be read on a dark screen, nor the usual yellow on a white one. */
const dark: ITheme = {
  background: "#11161d",
  foreground: "#dbe2ea",
  cursor: "#7cc4ff",
  selectionBackground: "#2f4a66",
  black: "#39424e",
  red: "#ff7b72",
  green: "#5ad17f",
  yellow: "#f2c14e",
  blue: "#79b8ff",
  magenta: "#d2a8ff",
  cyan: "#56d4dd",
  white: "#c8d1da",
  brightBlack: "#7d8b99",
  brightRed: "#ffa198",
  brightGreen: "#7ee2a0",
  brightYellow: "#ffd66e",
  brightBlue: "#a5d0ff",
  brightMagenta: "#e2c5ff",
  brightCyan: "#8be9f0",
  brightWhite: "#ffffff",
};
const light: ITheme = {
  background: "#ffffff",
  foreground: "#1b2733",
  cursor: "#0b63b5",
  selectionBackground: "#b9d9f7",
  black: "#1b2733",
  red: "#b3261e",
  green: "#1a7431",
  yellow: "#8a5a00",
  blue: "#0b57a4",
  magenta: "#8b2a8b",
  cyan: "#0b6e75",
  white: "#66707a",
  brightBlack: "#66707a",
  brightRed: "#c5352c",
  brightGreen: "#218a3d",
  brightYellow: "#a06b00",
  brightBlue: "#1a6fc4",
  brightMagenta: "#a23ba2",
  brightCyan: "#12808a",
  brightWhite: "#1b2733",
};

const isDark = matchMedia("(prefers-color-scheme: dark)");
const theme = (): ITheme => isDark.matches ? dark : light;

/** What a terminal needs of the page. */
export interface Connection {
  ask(request: PageRequest): boolean;
  type(sessionId: string, bytes: Uint8Array): void;
  /** True for keys that the page keeps for itself. */
  isShortcut(event: KeyboardEvent): boolean;
}

/** One terminal: a tab and a pane. */
class Tab {
  readonly button = make("button", { type: "button", role: "tab" });
  readonly pane = make("div", { className: "pane", role: "tabpanel" });
  readonly #screen = new Screen({
    fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace',
    fontSize: 13,
    scrollback: 10_000,
    theme: theme(),
  });
  readonly #fit = new FitAddon();
  readonly #sessionId: string;
  readonly #connection: Connection;
  #hasReplayed = false;
  #status: TerminalNews["status"] = "starting";
  /** What was typed before the shell was there. */
  #typedAhead: Uint8Array[] = [];

  constructor(sessionId: string, name: string, connection: Connection, close: () => void) {
    this.#sessionId = sessionId;
    this.#connection = connection;
    this.button.textContent = name;
    this.pane.id = sessionId;
    this.pane.setAttribute("aria-label", name);
    this.button.setAttribute("aria-controls", sessionId);
    const screen = this.#screen;
    screen.loadAddon(this.#fit);
    screen.attachCustomKeyEventHandler((event) => !connection.isShortcut(event) && !copies(event));
    const copies = (event: KeyboardEvent) => {
      if (!event.ctrlKey || event.code !== "KeyC" || !screen.hasSelection()) return false;
      if (event.type === "keydown") {
        void navigator.clipboard.writeText(screen.getSelection());
        screen.clearSelection();
      }
      return true;
    };
    const type = (bytes: Uint8Array) => {
      // What a program asked the terminal before this page was there has been answered already.
      if (!this.#hasReplayed) return;
      if (this.#status === "open") connection.type(sessionId, bytes);
      else if (this.#status === "starting") this.#typedAhead.push(bytes);
      else if (this.#hasEnded && bytes[0] === 13) close();
    };
    screen.onData((text) => type(new TextEncoder().encode(text)));
    screen.onBinary((text) => type(Uint8Array.from(text, (it) => it.charCodeAt(0))));
    screen.onResize(() => this.resize());
  }

  /** Puts it into the page: only there can it be measured. */
  open(): void {
    this.#screen.open(this.pane);
    this.fit();
  }

  /** Shows output; the first one is all that was before. */
  write(bytes: Uint8Array): void {
    this.#screen.write(bytes, () => this.#hasReplayed = true);
  }

  /** Shows how the session stands. */
  show({ status, note }: TerminalNews): void {
    this.#status = status;
    this.button.dataset.status = status;
    if (status === "open") {
      this.resize();
      for (const bytes of this.#typedAhead.splice(0)) this.#connection.type(this.#sessionId, bytes);
    }
    if (!this.#hasEnded) return;
    const how = `${status}${note ? `: ${note}` : ""}; Enter closes this tab`;
    this.#screen.write(`\r\n\x1b[2m[${how}]\x1b[0m\r\n`);
  }

  get #hasEnded(): boolean {
    return this.#status === "closed" || this.#status === "failed";
  }

  /** Fills its pane. */
  fit(): void {
    if (this.pane.clientWidth > 0) this.#fit.fit();
  }

  /** Tells the agent its size, within the limits it takes. */
  resize(): void {
    const { cols, rows } = this.#screen;
    const size = { cols: clamp(cols, 20, 400), rows: clamp(rows, 10, 200) };
    this.#connection.ask({ type: "resize", sessionId: this.#sessionId, ...size });
  }

  /** Takes the colours of the page. */
  color(): void {
    this.#screen.options.theme = theme();
  }

  focus(): void {
    this.#screen.focus();
  }

  remove(): void {
    this.#screen.dispose();
    this.button.remove();
    this.pane.remove();
  }
}

/** The terminals, one visible at a time. */
export class Terminals {
  readonly #connection: Connection;
  readonly #tabs = new Map<string, Tab>();
  readonly #panes = byId("panes", HTMLElement);
  readonly #list = byId("tabs", HTMLElement);
  #shown: Tab | undefined;
  #count = 0;
  #isAsked = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    byId("open", HTMLButtonElement).addEventListener("click", () => this.open());
    this.#list.addEventListener("keydown", ({ key }) => {
      if (key === "ArrowLeft" || key === "ArrowRight") this.step(key === "ArrowLeft" ? -1 : 1);
    });
    new ResizeObserver(() => this.#shown?.fit()).observe(this.#panes);
    isDark.addEventListener("change", () => {
      for (const tab of this.#tabs.values()) tab.color();
    });
  }

  /** Forgets all terminals: the server tells them again. */
  clear(): void {
    for (const id of this.#tabs.keys()) this.#remove(id);
    this.#count = 0;
  }

  /** How many there are. */
  get size(): number {
    return this.#tabs.size;
  }

  /** Asks for a new one; `isAsked`: by a person, who will type into it. */
  open(isAsked = true): void {
    this.#isAsked = isAsked;
    this.#connection.ask({ type: "open", cols: 120, rows: 34 });
  }

  /** Closes the one that is shown. */
  closeShown(): void {
    const entry = [...this.#tabs].find(([, tab]) => tab === this.#shown);
    if (!entry) return;
    this.#connection.ask({ type: "close", sessionId: entry[0] });
    this.#remove(entry[0]);
  }

  /** Shows the next one, or the one before. */
  step(by: number): void {
    const tabs = [...this.#tabs.values()];
    const at = tabs.findIndex((tab) => tab === this.#shown);
    this.#show(tabs[(at + by + tabs.length) % tabs.length], true);
  }

  focus(): void {
    this.#shown?.focus();
  }

  /** A session is new or has changed. */
  news(news: TerminalNews): void {
    if (news.isNew) this.#add(news.sessionId);
    this.#tabs.get(news.sessionId)?.show(news);
  }

  /** A session has output. */
  write(sessionId: string, bytes: Uint8Array): void {
    this.#tabs.get(sessionId)?.write(bytes);
  }

  #add(sessionId: string): void {
    const remove = () => this.#remove(sessionId);
    const tab = new Tab(sessionId, `Terminal ${++this.#count}`, this.#connection, remove);
    this.#tabs.set(sessionId, tab);
    this.#list.append(tab.button);
    this.#panes.append(tab.pane);
    tab.button.addEventListener("click", () => this.#show(tab, true));
    tab.open();
    // A terminal that nobody asked for must not take the cursor away.
    this.#show(tab, this.#isAsked);
    this.#isAsked = false;
  }

  #show(tab: Tab | undefined, andFocus = false): void {
    this.#shown = tab;
    for (const other of this.#tabs.values()) {
      const isShown = other === tab;
      other.pane.hidden = !isShown;
      other.button.ariaSelected = String(isShown);
      other.button.tabIndex = isShown ? 0 : -1;
    }
    byId("no-terminals", HTMLElement).hidden = tab !== undefined;
    tab?.fit();
    if (andFocus) tab?.focus();
  }

  #remove(sessionId: string): void {
    const tab = this.#tabs.get(sessionId);
    this.#tabs.delete(sessionId);
    tab?.remove();
    if (tab === this.#shown) this.#show([...this.#tabs.values()].at(-1), true);
  }
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
