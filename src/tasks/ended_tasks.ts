import * as z from "@zod/zod";
import { Completion } from "../control_plane/schemas.ts";
import { writeFileAtomic } from "../system/atomic_file.ts";
import { writeAll } from "../system/write_all.ts";

/** How long an ended task is remembered, in milliseconds. */
const REMEMBER_MS = 24 * 60 * 60 * 1_000;
/** How many are remembered at most; the file may hold twice as many between two clean-ups. */
const MAX_REMEMBERED = 10_000;

const EndedTask = z.object({ id: z.string(), atMs: z.number(), outcome: Completion });
type EndedTask = z.infer<typeof EndedTask>;

/**
 * The tasks that have ended here within a day, so that one that comes again is answered with its
 * outcome and not run twice (contract: Tasks over HTTP). Output is not kept.
 */
export class EndedTasks {
  readonly #path: string;
  readonly #tasks = new Map<string, EndedTask>();
  #linesInFile = 0;
  #turn: Promise<unknown> = Promise.resolve();

  /** `path` is a file of JSON lines. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Reads what is remembered; false if there are lines that cannot be read. */
  async load(): Promise<boolean> {
    const text = await Deno.readTextFile(this.#path).catch(() => "");
    let readable = true;
    const torn = text.slice(text.lastIndexOf("\n") + 1);
    for (const line of text.split("\n").filter((line) => line !== "" && line !== torn)) {
      this.#linesInFile++;
      const ended = EndedTask.safeParse(parseLine(line));
      if (ended.success) this.#tasks.set(ended.data.id, ended.data);
      else readable = false;
    }
    // A last line that a crash cut short would spoil the next one: write the file anew first.
    if (!readable || torn !== "") this.#linesInFile = Infinity;
    this.#expire();
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
    const ended = { id: taskId, atMs: Date.now(), outcome };
    this.#tasks.set(taskId, ended);
    // One after the other: a line would be lost in a file that another write replaces.
    const written = this.#turn.then(() => this.#write(ended));
    this.#turn = written.catch(() => {});
    return written;
  }

  async #write(ended: EndedTask): Promise<void> {
    if (this.#linesInFile >= 2 * MAX_REMEMBERED) {
      this.#expire();
      const lines = [...this.#tasks.values()].map((task) => JSON.stringify(task) + "\n");
      await writeFileAtomic(this.#path, lines.join(""));
      this.#linesInFile = this.#tasks.size;
      return;
    }
    this.#linesInFile++;
    try {
      await this.#append(`${JSON.stringify(ended)}\n`);
    } catch (error) {
      // A line that is there in part would spoil the next one: write the file anew then.
      this.#linesInFile = Infinity;
      throw error;
    }
  }

  async #append(line: string): Promise<void> {
    const options = { append: true, create: true, mode: 0o600 };
    using file = await Deno.open(this.#path, options);
    const bytes = new TextEncoder().encode(line);
    await writeAll(file, bytes);
    await file.syncData();
  }

  #expire(): void {
    const oldest = Date.now() - REMEMBER_MS;
    let surplus = this.#tasks.size - MAX_REMEMBERED;
    for (const [id, { atMs }] of this.#tasks) {
      if (atMs < oldest || surplus > 0) this.#tasks.delete(id);
      surplus--;
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
