import { byId, make } from "./dom.ts";
import { KeyBar } from "./key_bar.ts";
import type { TerminalNews } from "./messages.ts";
import { type Connection, TerminalTab } from "./terminal_tab.ts";
import { isDark, wantsCalm } from "./terminal_theme.ts";

/** The terminals, one visible at a time. */
export class Terminals {
  readonly #connection: Connection;
  readonly #tabs = new Map<string, TerminalTab>();
  readonly #panes = byId("panes", HTMLElement);
  readonly #list = byId("tabs", HTMLElement);
  readonly #find = byId("find", HTMLInputElement);
  readonly #keyBar: KeyBar;
  #shown: TerminalTab | undefined;
  #count = 0;
  #isAsked = false;
  #isConnected = true;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#keyBar = new KeyBar({
      type: (text) => {
        this.#shown?.type(text);
        this.#shown?.focus();
      },
      paste: (text) => this.#shown?.paste(text),
    });
    byId("open", HTMLButtonElement).addEventListener("click", () => this.open());
    byId("reopen", HTMLButtonElement).addEventListener("click", () => {
      this.closeShown();
      this.open();
    });
    byId("dismiss", HTMLButtonElement).addEventListener("click", () => this.closeShown());
    this.#list.addEventListener("keydown", (event) => this.#key(event));
    this.#find.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#look();
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.#shown?.focus();
    });
    this.#find.addEventListener("input", () => this.#look());
    this.#panes.addEventListener("keydown", (event) => this.#typed(event), { capture: true });
    new ResizeObserver(() => this.#shown?.fit()).observe(this.#panes);
    for (const preference of [isDark, wantsCalm]) {
      preference.addEventListener("change", () => {
        for (const tab of this.#tabs.values()) tab.adapt();
      });
    }
  }

  /** Forgets all terminals: the server tells them again. */
  clear(): void {
    for (const id of this.#tabs.keys()) this.#remove(id);
    this.#count = 0;
  }

  /** Whether the agent can be reached: input for one that cannot would end the session. */
  set isConnected(isConnected: boolean) {
    if (isConnected === this.#isConnected) return;
    this.#isConnected = isConnected;
    for (const tab of this.#tabs.values()) {
      tab.isConnected = isConnected;
      // What it asked for meanwhile has gone nowhere.
      tab.resize();
    }
    this.#showEnd();
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
    if (this.#shown) this.#close(this.#shown);
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
    if (news.sizes) this.#add(news.sessionId, news.sizes);
    const tab = this.#tabs.get(news.sessionId);
    tab?.show(news);
    if (tab === this.#shown) this.#showEnd();
  }

  /** A session has output. */
  write(sessionId: string, bytes: Uint8Array): void {
    void this.#tabs.get(sessionId)?.write(bytes);
  }

  #add(sessionId: string, sizes: NonNullable<TerminalNews["sizes"]>): void {
    const tab = new TerminalTab(sessionId, `Terminal ${++this.#count}`, sizes, this.#connection);
    tab.isConnected = this.#isConnected;
    this.#tabs.set(sessionId, tab);
    this.#list.append(tab.element);
    this.#panes.append(tab.pane);
    tab.button.addEventListener("click", () => this.#show(tab, true));
    tab.button.addEventListener("dblclick", () => this.#rename(tab));
    tab.closer.addEventListener("click", () => this.#close(tab));
    tab.open();
    // A terminal that nobody asked for must not take the cursor away.
    this.#show(tab, this.#isAsked);
    this.#isAsked = false;
  }

  #show(tab: TerminalTab | undefined, andFocus = false): void {
    this.#shown = tab;
    for (const other of this.#tabs.values()) {
      const isShown = other === tab;
      other.pane.hidden = !isShown;
      other.button.ariaSelected = String(isShown);
      other.button.tabIndex = isShown ? 0 : -1;
    }
    byId("no-terminals", HTMLElement).hidden = tab !== undefined;
    this.#find.hidden = tab === undefined;
    this.#showEnd();
    tab?.element.scrollIntoView({ block: "nearest", inline: "nearest" });
    tab?.fit();
    if (andFocus) tab?.focus();
  }

  #showEnd(): void {
    const how = this.#shown?.ended;
    const box = byId("ended", HTMLElement);
    box.hidden = how === undefined;
    box.firstElementChild?.replaceChildren(how ?? "");
    const isOut = !this.#isConnected && how === undefined && this.#shown !== undefined;
    byId("unreachable", HTMLElement).hidden = !isOut;
  }

  #close(tab: TerminalTab): void {
    if (tab.ended === undefined) {
      this.#connection.ask({ type: "close", sessionId: tab.sessionId });
    }
    this.#remove(tab.sessionId);
  }

  #remove(sessionId: string): void {
    const tab = this.#tabs.get(sessionId);
    this.#tabs.delete(sessionId);
    tab?.remove();
    if (tab === this.#shown) this.#show([...this.#tabs.values()].at(-1), true);
  }

  #rename(tab: TerminalTab): void {
    const box = make("input", {
      value: tab.name,
      ariaLabel: "Name of the terminal",
      maxLength: 40,
    });
    let hasEnded = false;
    const end = (isKept: boolean) => {
      // Taking the box away takes the focus away from it, too.
      if (hasEnded) return;
      hasEnded = true;
      const name = box.value.trim();
      box.replaceWith(tab.button);
      if (isKept && name) tab.name = name;
      tab.focus();
    };
    box.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") end(true);
      if (event.key === "Escape") end(false);
    });
    box.addEventListener("blur", () => end(true));
    tab.button.replaceWith(box);
    box.select();
  }

  #key(event: KeyboardEvent): void {
    const { key } = event;
    if (key === "ArrowLeft" || key === "ArrowRight") {
      this.step(key === "ArrowLeft" ? -1 : 1);
      this.#shown?.button.focus();
    } else if (key === "F2" && this.#shown) this.#rename(this.#shown);
    else if (key === "Delete") this.closeShown();
    else return;
    event.preventDefault();
  }

  #typed(event: KeyboardEvent): void {
    if (this.#shown?.ended !== undefined && event.key === "Enter") {
      event.stopPropagation();
      return this.closeShown();
    }
    const text = this.#keyBar.translate(event);
    if (text === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.#shown?.type(text);
  }

  #look(): void {
    const isThere = this.#shown?.find(this.#find.value) ?? false;
    this.#find.ariaInvalid = String(this.#find.value !== "" && !isThere);
  }
}
