import { byId, inWords, make } from "./dom.ts";
import type { PageRequest, TaskNews } from "./messages.ts";

/** Tasks that are shown: the newest. */
const MAX_TASKS = 2_000;
const TICK_MS = 200;

/** True when nothing more can happen to a task. */
export function hasEnded({ status }: TaskNews): boolean {
  return ["success", "failed", "cancelled"].includes(status);
}

/** What a task has come to, e.g. `exit 0 · 4.2 s`. */
export function figures({ startedAt, endedAt, exitCode }: TaskNews, now: number): string {
  const ran = startedAt === undefined ? "" : inWords((endedAt ?? now) - startedAt);
  return [exitCode === undefined ? "" : `exit ${exitCode}`, ran].filter((it) => it).join(" · ");
}

/** One task in the list. */
class TaskItem {
  readonly element = make("li");
  readonly link = make("a", { className: "task" });
  task: TaskNews;
  readonly #status = make("span", { className: "state" });
  readonly #figures = make("span", { className: "figures" });

  constructor(task: TaskNews) {
    this.task = task;
    this.link.href = `#task=${task.id}`;
    this.link.dataset.id = task.id;
    const number = make("span", { className: "figures" }, `#${task.number}`);
    const title = make("code", { title: task.title }, task.title);
    this.link.append(this.#status, number, title, this.#figures);
    this.element.append(this.link);
    this.show(task);
  }

  /** Shows how the task stands. */
  show(task: TaskNews): void {
    this.task = task;
    this.element.dataset.status = task.status;
    this.#status.textContent = task.status;
    this.tick(Date.now());
  }

  /** Shows how long it has run. */
  tick(now: number): void {
    this.#figures.textContent = figures(this.task, now);
  }
}

/** The list of tasks. One of them is chosen: its log is shown. */
export class Tasks {
  readonly #list = byId("tasks", HTMLOListElement);
  readonly #text = byId("filter", HTMLInputElement);
  readonly #state = byId("filter-state", HTMLSelectElement);
  readonly #items = new Map<string, TaskItem>();
  readonly #active = new Set<TaskItem>();
  readonly #ask: (request: PageRequest) => boolean;
  readonly #choose: (task: TaskNews) => void;
  #chosen: string | undefined;
  /** A new task is chosen by itself, until somebody has chosen an older one. */
  #followsNewest = true;
  /** Whether all tasks of before have been shown: the first news after a connection holds them. */
  #knowsPast = false;

  constructor(
    ask: (request: PageRequest) => boolean,
    choose: (task: TaskNews) => void,
  ) {
    this.#ask = ask;
    this.#choose = choose;
    this.#text.addEventListener("input", () => this.#filter());
    this.#state.addEventListener("change", () => this.#filter());
    this.#list.addEventListener("keydown", (event) => this.#step(event));
    setInterval(() => {
      for (const item of this.#active) item.tick(Date.now());
    }, TICK_MS);
  }

  /** Forgets all tasks: they are told again. */
  clear(): void {
    this.#items.clear();
    this.#active.clear();
    this.#list.replaceChildren();
    this.#knowsPast = false;
  }

  /** Puts the focus on the chosen task. */
  focus(): void {
    const chosen = this.#items.get(this.#chosen ?? "") ?? [...this.#items.values()].at(-1);
    chosen?.link.focus();
  }

  /** Cancels the newest task that has not ended. */
  cancelNewest(): void {
    const item = [...this.#active].at(-1);
    if (item) this.#ask({ type: "cancel", id: item.task.id });
  }

  /** From now on the newest task is the chosen one. */
  followNewest(): void {
    this.#followsNewest = true;
  }

  /** Somebody has chosen a task; false: there is none such. */
  choose(id: string): boolean {
    const item = this.#items.get(id);
    if (!item) return false;
    this.#followsNewest = item === [...this.#items.values()].at(-1);
    this.#mark(item);
    return true;
  }

  /** Tasks are new or have changed; answers those that have ended just now. */
  show(news: readonly TaskNews[]): TaskNews[] {
    const ended: TaskNews[] = [];
    const added: HTMLElement[] = [];
    for (const task of news) {
      const known = this.#items.get(task.id);
      const item = known ?? new TaskItem(task);
      if (known) {
        if (hasEnded(task) && !hasEnded(known.task)) ended.push(task);
        known.show(task);
      } else {
        // A quick one has ended before the page hears of it for the first time.
        if (hasEnded(task) && this.#knowsPast) ended.push(task);
        this.#items.set(task.id, item);
        added.push(item.element);
      }
      if (hasEnded(task)) this.#active.delete(item);
      else this.#active.add(item);
      if (this.#chosen === task.id) this.#choose(task);
    }
    this.#list.prepend(...added.reverse());
    this.#forget();
    this.#filter();
    const newest = [...this.#items.values()].at(-1);
    if (newest && added.length > 0 && this.#followsNewest) this.#mark(newest);
    this.#knowsPast = true;
    return ended;
  }

  #mark(item: TaskItem): void {
    this.#items.get(this.#chosen ?? "")?.link.removeAttribute("aria-current");
    item.link.setAttribute("aria-current", "true");
    this.#chosen = item.task.id;
    this.#choose(item.task);
  }

  #forget(): void {
    for (const [id, item] of this.#items) {
      if (this.#items.size <= MAX_TASKS) break;
      this.#items.delete(id);
      this.#active.delete(item);
      item.element.remove();
    }
  }

  #filter(): void {
    const text = this.#text.value.trim().toLowerCase();
    const state = this.#state.value;
    let shown = 0;
    for (const { task, element } of this.#items.values()) {
      const isIt = state === "" || (state === "active" ? !hasEnded(task) : task.status === state);
      element.hidden = !isIt || !`#${task.number} ${task.title}`.toLowerCase().includes(text);
      if (!element.hidden) shown++;
    }
    const none = byId("no-tasks", HTMLElement);
    none.hidden = shown > 0;
    if (this.#items.size > 0) none.textContent = "No task is like that.";
  }

  #step(event: KeyboardEvent): void {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    const links = [...this.#list.querySelectorAll<HTMLElement>("li:not([hidden]) .task")];
    const at = links.findIndex((link) => link === document.activeElement);
    const link = links[Math.max(0, at + (event.key === "ArrowDown" ? 1 : -1))];
    link?.focus();
    if (link) this.choose(link.dataset.id ?? "");
  }
}
