/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { byId, inWords, make } from "./dom.ts";
import type { PageRequest, TaskNews } from "./messages.ts";

/** Characters of a log that are shown: its end. */
const MAX_CHARACTERS = 200_000;
/** Tasks that are shown: the newest. */
const MAX_TASKS = 100;
const HISTORY_KEY = "commands";
const MAX_HISTORY = 200;

const hasEnded = ({ status }: TaskNews) => ["success", "failed", "cancelled"].includes(status);

/** One task with its log. */
class TaskItem {
  readonly element = make("li");
  task: TaskNews;
  readonly #summary = make("summary");
  readonly #log = make("pre", { tabIndex: 0 });
  readonly #details = make("details", { open: true }, this.#summary, this.#log);
  readonly #status = make("span", { className: "state" });
  readonly #title = make("code");
  readonly #figures = make("span", { className: "figures" });
  readonly #cancel = make("button", { type: "button", className: "small" }, "Cancel");
  #characters = 0;

  constructor(task: TaskNews, cancel: (id: string) => void) {
    this.task = task;
    this.#summary.append(this.#status, this.#title, this.#figures, this.#cancel);
    this.element.append(this.#details);
    this.#log.setAttribute("aria-label", `Log of task ${task.number}`);
    this.#cancel.setAttribute("aria-label", `Cancel task ${task.number}`);
    this.#cancel.addEventListener("click", (event) => {
      event.preventDefault();
      cancel(task.id);
    });
    this.show(task);
  }

  /** Shows how the task stands. */
  show(task: TaskNews): void {
    this.task = task;
    const { status, title, exitCode, note } = task;
    this.element.dataset.status = status;
    this.#status.textContent = status;
    this.#title.textContent = title;
    this.#title.title = title;
    this.#cancel.hidden = hasEnded(task);
    this.tick(Date.now());
    if (hasEnded(task) && note && exitCode === undefined) this.#log.dataset.note = note;
  }

  /** Shows how long it has run. */
  tick(now: number): void {
    const { startedAt, endedAt, exitCode } = this.task;
    const ran = startedAt === undefined ? "" : inWords((endedAt ?? now) - startedAt);
    this.#figures.textContent = [exitCode === undefined ? "" : `exit ${exitCode}`, ran]
      .filter((it) => it).join(" · ");
  }

  /** Adds to the log and stays at its end, unless a person has scrolled up. */
  add(entries: readonly { stream: string; line: string }[]): void {
    const log = this.#log;
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
    for (const { stream, line } of entries) {
      log.append(make("span", { className: `stream-${stream}` }, `${line}\n`));
      this.#characters += line.length + 1;
    }
    while (this.#characters > MAX_CHARACTERS && log.firstChild !== log.lastChild) {
      this.#characters -= log.firstChild?.textContent?.length ?? 0;
      log.firstChild?.remove();
    }
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  }

  /** Hides the log, if the task has ended. */
  fold(): void {
    if (hasEnded(this.task)) this.#details.open = false;
  }
}

/** The list of tasks and the box to run a command. */
export class Tasks {
  readonly #ask: (request: PageRequest) => boolean;
  readonly #list = byId("tasks", HTMLOListElement);
  readonly #input = byId("command", HTMLInputElement);
  readonly #items = new Map<string, TaskItem>();
  readonly #history: string[] = readHistory();
  /** Where in the history a person is; its length: at what was typed. */
  #at = this.#history.length;
  #typed = "";

  constructor(ask: (request: PageRequest) => boolean) {
    this.#ask = ask;
    byId("run", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#run();
    });
    this.#input.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
      event.preventDefault();
      this.#recall(event.key === "ArrowUp" ? -1 : 1);
    });
    setInterval(() => {
      for (const item of this.#items.values()) if (!hasEnded(item.task)) item.tick(Date.now());
    }, 500);
  }

  /** Forgets all tasks. */
  clear(): void {
    this.#items.clear();
    this.#list.replaceChildren();
  }

  /** Puts the cursor into the box. */
  focus(): void {
    this.#input.focus();
    this.#input.select();
  }

  /** Puts the focus on the newest task. */
  focusList(): void {
    this.#list.querySelector("summary")?.focus();
  }

  /** Cancels the newest task that has not ended. */
  cancelNewest(): void {
    const item = [...this.#items.values()].findLast(({ task }) => !hasEnded(task));
    if (item) this.#ask({ type: "cancel", id: item.task.id });
  }

  /** A task is new or has changed. */
  show(task: TaskNews): void {
    const known = this.#items.get(task.id);
    if (known) return known.show(task);
    for (const item of this.#items.values()) item.fold();
    const item = new TaskItem(task, (id) => this.#ask({ type: "cancel", id }));
    this.#items.set(task.id, item);
    this.#list.prepend(item.element);
    byId("no-tasks", HTMLElement).hidden = true;
    for (const [id, { element }] of this.#items) {
      if (this.#items.size <= MAX_TASKS) break;
      this.#items.delete(id);
      element.remove();
    }
  }

  /** A task has logged. */
  log(id: string, entries: readonly { stream: string; line: string }[]): void {
    this.#items.get(id)?.add(entries);
  }

  #run(): void {
    const command = this.#input.value.trim();
    if (!command || !this.#ask({ type: "run", command })) return;
    if (this.#history.at(-1) !== command) this.#history.push(command);
    this.#history.splice(0, this.#history.length - MAX_HISTORY);
    this.#at = this.#history.length;
    localStorage.setItem(HISTORY_KEY, JSON.stringify(this.#history));
    this.#input.value = "";
  }

  #recall(step: number): void {
    if (this.#at === this.#history.length) this.#typed = this.#input.value;
    this.#at = Math.max(0, Math.min(this.#history.length, this.#at + step));
    this.#input.value = this.#history[this.#at] ?? this.#typed;
  }
}

function readHistory(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(HISTORY_KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter((it) => typeof it === "string") : [];
  } catch {
    return [];
  }
}
