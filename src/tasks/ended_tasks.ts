import * as z from "@zod/zod";
import { Completion } from "../control_plane/schemas.ts";
import { writeAll, writeFileAtomic } from "../system/atomic_file.ts";
import { Mutex } from "../system/mutex.ts";
import { NotOwnError, openOwn, readOwn } from "../system/own_file.ts";

/** How many are remembered at most; the file may hold twice as many between two clean-ups. */
const MAX_REMEMBERED = 10_000;
/** Of an error no more is remembered, in UTF-16 units. */
const MAX_ERROR_UNITS = 1_000;

const EndedTask = z.object({
  id: z.string(),
  /** The wall clock, for people: it decides nothing. */
  atMs: z.number(),
  outcome: Completion,
});
type EndedTask = z.infer<typeof EndedTask>;

/**
 * The tasks that have ended here last, so that one that comes again is answered with its outcome
 * and not run twice (contract: Tasks over HTTP). They are forgotten by their number and never by a
 * clock, which may be set at any time. Output is not kept.
 */
export class EndedTasks {
  readonly #path: string;
  readonly #onForeign: (error: NotOwnError) => void;
  readonly #tasks = new Map<string, EndedTask>();
  #linesInFile = 0;
  readonly #turns = new Mutex();
  #waiting: EndedTask[] = [];
  #written: Promise<void> | undefined;

  /** `path` is a file of JSON lines; `onForeign` hears of one that others could have written. */
  constructor(path: string, onForeign: (error: NotOwnError) => void = () => {}) {
    this.#path = path;
    this.#onForeign = onForeign;
  }

  /** Reads what is remembered; false if there are lines that cannot be read. */
  async load(): Promise<boolean> {
    let readable = true;
    const text = await readOwn(this.#path).catch((error) => {
      if (error instanceof NotOwnError) this.#onForeign(error);
      return "";
    });
    const torn = text.slice(text.lastIndexOf("\n") + 1);
    for (const line of text.split("\n").filter((line) => line !== "" && line !== torn)) {
      this.#linesInFile++;
      const ended = EndedTask.safeParse(parseLine(line));
      if (ended.success) this.#remember(ended.data);
      else readable = false;
    }
    // A last line that a crash cut short would spoil the next one: write the file anew first.
    if (!readable || torn !== "") this.#linesInFile = Infinity;
    this.#forgetOldest();
    return readable;
  }

  /** How the task ended, if it is remembered. */
  get(taskId: string): Completion | undefined {
    return this.#tasks.get(taskId)?.outcome;
  }

  /**
   * Remembers a task.
   *
   * @throws what the disk answers; the task is remembered in memory all the same.
   */
  add(taskId: string, { output: _, result: __, ...outcome }: Completion): Promise<void> {
    if (outcome.error) outcome.error = outcome.error.slice(0, MAX_ERROR_UNITS).toWellFormed();
    const ended = { id: taskId, atMs: Date.now(), outcome };
    this.#remember(ended);
    this.#waiting.push(ended);
    return this.#writeInTurn();
  }

  /** Whether the file does not hold all that is remembered, or more than that. */
  get isBehind(): boolean {
    return this.#linesInFile === Infinity;
  }

  /**
   * Writes what the disk has refused before.
   *
   * @throws what the disk answers.
   */
  async catchUp(): Promise<void> {
    if (this.isBehind) await this.#writeInTurn();
  }

  /** One after the other: a line would be lost in a file that another write replaces. */
  #writeInTurn(): Promise<void> {
    return this.#written ??= this.#turns.take(() => this.#write());
  }

  /** Writes all that wait: those that come meanwhile share the next turn. */
  async #write(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#written = undefined;
    if (this.#linesInFile >= 2 * MAX_REMEMBERED) {
      this.#forgetOldest();
      const lines = [...this.#tasks.values()].map((task) => JSON.stringify(task) + "\n");
      await writeFileAtomic(this.#path, lines.join(""));
      this.#linesInFile = this.#tasks.size;
      return;
    }
    this.#linesInFile += waiting.length;
    try {
      await this.#append(waiting.map((ended) => JSON.stringify(ended) + "\n").join(""));
    } catch (error) {
      // A line that is there in part would spoil the next one: write the file anew then.
      this.#linesInFile = Infinity;
      throw error;
    }
  }

  async #append(lines: string): Promise<void> {
    using file = await openOwn(this.#path, { append: true, create: true });
    await writeAll(file, new TextEncoder().encode(lines));
    await file.syncData();
  }

  /** As the newest, also when it has ended before. */
  #remember(ended: EndedTask): void {
    this.#tasks.delete(ended.id);
    this.#tasks.set(ended.id, ended);
  }

  #forgetOldest(): void {
    let surplus = this.#tasks.size - MAX_REMEMBERED;
    for (const id of this.#tasks.keys()) {
      if (surplus-- <= 0) return;
      this.#tasks.delete(id);
    }
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
