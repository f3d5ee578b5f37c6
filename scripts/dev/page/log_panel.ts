import { byId, make } from "./dom.ts";
import { LogLines } from "./log_lines.ts";
import { LogView, type Times } from "./log_view.ts";
import type { Entry, PageRequest, TaskNews } from "./messages.ts";
import { figures, hasEnded } from "./tasks.ts";

const TIMES: Times[] = ["off", "since start", "clock"];
const COPIED_MS = 1500;

/** The log of the chosen task, and what can be done with it. */
export class LogPanel {
  readonly #ask: (request: PageRequest) => boolean;
  readonly #scroller = byId("lines", HTMLElement);
  readonly #search = byId("search", HTMLInputElement);
  readonly #empty = byId("no-lines", HTMLElement);
  readonly #view: LogView;
  #lines = new LogLines();
  #task: TaskNews | undefined;
  #hits: number[] = [];
  /** Whether the lines that there are have come: until then a task is not called one without. */
  #isLoaded = false;
  /** A line to go to as soon as it is there. */
  #awaited: number | undefined;

  constructor(ask: (request: PageRequest) => boolean) {
    this.#ask = ask;
    this.#view = new LogView(this.#lines, {
      scroller: this.#scroller,
      link: (line) => `#task=${this.#task?.id}&line=${line}`,
      onFollow: (follows) => byId("follow", HTMLElement).ariaPressed = String(follows),
    });
    this.#listen();
    setInterval(() => this.#tick(), 200);
  }

  /** Shows a task; for another one its log is asked for. */
  show(task: TaskNews): void {
    const isOther = task.id !== this.#task?.id;
    this.#task = task;
    if (isOther) this.reload();
    byId("log-title", HTMLElement).textContent = `#${task.number} ${task.title}`;
    byId("log-title", HTMLElement).title = task.title;
    byId("again", HTMLElement).hidden = false;
    byId("cancel", HTMLElement).hidden = hasEnded(task);
    this.#scroller.ariaLabel = `Log of task ${task.number}`;
    this.#tick();
    this.#showEmpty();
  }

  /** Asks for the log from its beginning. */
  reload(): void {
    this.#lines = new LogLines();
    this.#view.lines = this.#lines;
    this.#hits = [];
    this.#isLoaded = false;
    if (!this.#task) return;
    this.#empty.ariaBusy = "true";
    this.#ask({ type: "follow", id: this.#task.id });
  }

  /** Entries have come. */
  add(id: string, from: number, entries: readonly Entry[]): void {
    if (id !== this.#task?.id) return;
    this.#isLoaded = true;
    if (from === 0 && this.#lines.all.length > 0) {
      this.#lines = new LogLines();
      this.#view.lines = this.#lines;
    }
    this.#view.changed(this.#lines.add(entries));
    this.#showEmpty();
    if (this.#search.value) this.#find(false);
    if (this.#awaited && this.#awaited <= this.#lines.all.length) this.goTo(this.#awaited);
  }

  /** Shows a line, counted from 1. */
  goTo(line: number): void {
    this.#awaited = line <= this.#lines.all.length ? undefined : line;
    if (this.#awaited === undefined) this.#view.goTo(line - 1);
  }

  #listen(): void {
    const onClick = (id: string, run: () => void) =>
      byId(id, HTMLElement).addEventListener("click", run);
    onClick("again", () => this.#task && this.#ask({ type: "again", id: this.#task.id }));
    onClick("cancel", () => this.#task && this.#ask({ type: "cancel", id: this.#task.id }));
    onClick("follow", () => this.#view.follow(!this.#view.follows));
    onClick("wrap", () => this.#wrap());
    onClick("times", () => this.#times());
    onClick("copy", () => void this.#copy());
    onClick("download", () => this.#download());
    onClick("next", () => this.#step(1));
    onClick("previous", () => this.#step(-1));
    this.#search.addEventListener("input", () => this.#find(true));
    this.#search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#step(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") {
        // By itself it would empty the box.
        event.preventDefault();
        this.#scroller.focus();
      }
    });
    this.#scroller.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const run = this.#keys[event.key];
      if (!run) return;
      event.preventDefault();
      run();
    });
  }

  readonly #keys: Record<string, () => void> = {
    "/": () => this.#search.select(),
    n: () => this.#step(1),
    N: () => this.#step(-1),
    w: () => this.#wrap(),
    t: () => this.#times(),
    f: () => this.#view.follow(!this.#view.follows),
  };

  #wrap(): void {
    const button = byId("wrap", HTMLElement);
    const wraps = button.ariaPressed !== "true";
    button.ariaPressed = String(wraps);
    this.#view.wraps = wraps;
  }

  #times(): void {
    const button = byId("times", HTMLElement);
    const at = TIMES.findIndex((it) => button.ariaLabel?.endsWith(it));
    const times = TIMES[(at + 1) % TIMES.length] ?? "off";
    button.ariaLabel = `Time: ${times}`;
    button.textContent = times === "off" ? "Time" : `Time: ${times}`;
    this.#view.times = times;
  }

  #find(andGo: boolean): void {
    const query = this.#search.value;
    this.#view.query = query;
    this.#hits = query ? this.#lines.find(query) : [];
    if (andGo) this.#view.current = -1;
    if (andGo && query) this.#step(1);
    else this.#view.redraw();
    this.#count();
  }

  #step(by: number): void {
    const { current } = this.#view;
    const hits = by > 0 ? this.#hits : this.#hits.toReversed();
    const next = hits.find((line) => by > 0 ? line > current : line < current) ?? hits[0];
    if (next !== undefined) this.#view.goTo(next);
    this.#count();
  }

  #count(): void {
    const at = this.#hits.indexOf(this.#view.current) + 1;
    byId("hits", HTMLElement).textContent = !this.#search.value
      ? ""
      : this.#hits.length === 0
      ? "none"
      : `${at || "–"}/${this.#hits.length}`;
  }

  async #copy(): Promise<void> {
    const text = this.#lines.all.map((line) => `${line.text}\n`).join("");
    await navigator.clipboard.writeText(text);
    const button = byId("copy", HTMLElement);
    button.textContent = "Copied";
    setTimeout(() => button.textContent = "Copy", COPIED_MS);
  }

  #download(): void {
    const text = this.#lines.all.map((line) => `${line.text}\n`).join("");
    const href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    make("a", { href, download: `task-${this.#task?.number}.log` }).click();
    URL.revokeObjectURL(href);
  }

  #tick(): void {
    if (!this.#task) return;
    const state = byId("log-state", HTMLElement);
    const text = [this.#task.status, figures(this.#task, Date.now())].filter((it) => it);
    const shown = text.join(" · ");
    if (state.textContent !== shown) state.textContent = shown;
    state.dataset.status = this.#task.status;
  }

  #showEmpty(): void {
    const task = this.#task;
    if (!task) return;
    const isEmpty = this.#lines.all.length === 0;
    const note = hasEnded(task) ? task.note : undefined;
    const { result } = task;
    this.#empty.hidden = !isEmpty && !note && !result;
    this.#scroller.hidden = isEmpty;
    this.#empty.ariaBusy = String(!this.#isLoaded);
    const text = isEmpty && !result && this.#isLoaded
      ? hasEnded(task) ? "Ended without output." : "No output yet."
      : "";
    this.#empty.replaceChildren(
      ...text ? [make("span", {}, text, " ")] : [],
      ...note ? [make("strong", { className: "bad" }, note)] : [],
      ...result ? [make("pre", { tabIndex: 0, ariaLabel: "Result" }, result)] : [],
    );
  }
}
