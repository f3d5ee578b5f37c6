import {
  type ControlPlane,
  hasEnded,
  type NewTask,
  type Task,
  type TaskStatus,
} from "./control_plane.ts";
import { taskTitle } from "./_page_news.ts";
import type { Screen } from "./_screen.ts";

/** The longest time a timer can take. */
const FOR_EVER_MS = 2 ** 31 - 1;
/** A task that says nothing of its exit code has not gone well either. */
const FAILED = 1;

/** The tasks of one sitting, numbered from 1, each shown on the screen as it lives. */
export class TaskBoard {
  readonly #controlPlane: ControlPlane;
  readonly #screen: Screen;
  readonly #ids: string[] = [];
  readonly #shows: Promise<void>[] = [];

  /** Makes an empty one. */
  constructor(controlPlane: ControlPlane, screen: Screen) {
    this.#controlPlane = controlPlane;
    this.#screen = screen;
  }

  /** How many tasks there were. */
  get size(): number {
    return this.#ids.length;
  }

  /** The exit code of the task queued last, as a shell gives that of its last command. */
  get exitCode(): number {
    const task = this.#tasks.at(-1);
    const { exitCode } = task?.result ?? {};
    if (!task || task.status === "success") return 0;
    return typeof exitCode === "number" && exitCode > 0 ? exitCode : FAILED;
  }

  /** The numbers of the tasks that have not ended, the newest last. */
  get active(): number[] {
    return this.#tasks.flatMap((task, index) => hasEnded(task) ? [] : index + 1);
  }

  /** Queues a shell command and shows what becomes of it. */
  run(command: string): void {
    this.queue({ type: "shell.exec", payload: { command } });
  }

  /** Queues a task and shows what becomes of it. */
  queue(task: NewTask): void {
    const id = this.#controlPlane.queueTask(task);
    this.#ids.push(id);
    // The control plane going down ends a show early.
    this.#shows.push(this.#show(id, `#${this.size}`, taskTitle(task)).catch(() => {}));
  }

  /** Resolves when every task so far has ended and has been shown. */
  async settled(): Promise<void> {
    await Promise.all(this.#shows);
  }

  /** Cancels a task by its number (`2`, `#2`), or the one queued last. */
  cancel(number: string | undefined): void {
    const index = this.#find(number);
    if (index === undefined) return;
    const task = this.#tasks[index];
    if (!task) return;
    if (hasEnded(task)) this.#screen.say(`Task #${index + 1} has ended already.`);
    else this.#controlPlane.cancelTask(task.id, "cancelled at the prompt");
  }

  /** Queues a task again by its number, or the one queued last. */
  again(number: string | undefined): void {
    const task = this.#tasks[this.#find(number) ?? -1];
    if (task) this.queue({ ...task.extra, type: task.type, payload: task.payload });
  }

  get #tasks(): Readonly<Task>[] {
    return this.#ids.map((id) => this.#controlPlane.task(id));
  }

  #find(number: string | undefined): number | undefined {
    const index = (number === undefined ? this.size : Number(number.replace("#", ""))) - 1;
    if (this.#ids[index] !== undefined) return index;
    this.#screen.say(
      number === undefined ? "There is no task yet." : `There is no task ${number}.`,
    );
    return undefined;
  }

  async #show(id: string, name: string, command: string): Promise<void> {
    const shown = { transitions: 0, logs: 0 };
    for (let ended = false; !ended;) {
      const isNews = (task: Readonly<Task>) =>
        task.transitions.length > shown.transitions || task.logs.length > shown.logs;
      await this.#controlPlane.waitForTask(id, isNews, FOR_EVER_MS);
      // Not as it was when the wait ended: it may have gone on since.
      const task = this.#controlPlane.task(id);
      const transitions = task.transitions.slice(shown.transitions);
      const logs = task.logs.slice(shown.logs);
      shown.transitions += transitions.length;
      shown.logs += logs.length;
      // What happened is shown in its order.
      for (const { status, at, note } of transitions) {
        while (logs[0] && logs[0].receivedAt < at) this.#entry(name, logs.shift());
        this.#screen.say(`${name} ${this.#sentence(task, status, at, note ?? "", command)}`);
      }
      for (const log of logs) this.#entry(name, log);
      ended = hasEnded(task);
    }
  }

  #entry(name: string, log: Task["logs"][number] | undefined): void {
    if (log) this.#screen.entry(name, log.stream, log.line);
  }

  #sentence(
    task: Readonly<Task>,
    status: TaskStatus,
    at: number,
    note: string,
    command: string,
  ): string {
    if (status === "queued") return `queued: ${command}${note ? ` (again: ${note})` : ""}`;
    const afterMs = `${Math.round(at - task.createdAt)} ms`;
    if (!hasEnded({ status })) return `${status} after ${afterMs}${note ? ` (${note})` : ""}`;
    const { exitCode, durationMs, error } = task.result ?? {};
    return [
      status,
      ...(exitCode === undefined ? [] : [`exit code ${exitCode}`]),
      ...(durationMs === undefined ? [] : [`ran ${durationMs} ms`]),
      `ended after ${afterMs}`,
      ...(error || note ? [String(error ?? note)] : []),
    ].join(", ");
  }
}
