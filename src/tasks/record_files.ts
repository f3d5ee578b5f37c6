import { type StagedFile, writeAll } from "../system/atomic_file.ts";
import { openOwn } from "../system/own_file.ts";
import type { EndCause } from "./task_end.ts";
import { additionLine, BEGUN_LINE, causeLine, type TaskRecord } from "./task_record.ts";

/**
 * The files of records that this agent has made, and nothing was refused of: what changes is added as
 * a line, which takes one sync and neither a rename nor a sync of the folder. A file is open from its
 * first such line on, until the task has ended.
 */
export class RecordFiles {
  readonly #pathOf: (taskId: string) => string;
  readonly #files = new Map<string, Deno.FsFile | undefined>();
  /** The lines that are being added. */
  readonly #adding = new Map<string, Promise<StagedFile>>();

  /** `pathOf` tells where the record of a task is. */
  constructor(pathOf: (taskId: string) => string) {
    this.#pathOf = pathOf;
  }

  /** Whether lines can be added to a task's file. */
  has(taskId: string): boolean {
    return this.#files.has(taskId);
  }

  /** Takes a file that is whole, or goes on with one that is taken already. */
  take(taskId: string): void {
    if (!this.#files.has(taskId)) this.#files.set(taskId, undefined);
  }

  /** Adds no line to a task's file any more: it is gone, or what it holds is not known. */
  drop(taskId: string): void {
    this.close(taskId);
    this.#files.delete(taskId);
  }

  /** Closes a file; it is opened again for the next line. */
  close(taskId: string): void {
    this.#files.get(taskId)?.close();
    if (this.has(taskId)) this.#files.set(taskId, undefined);
  }

  /**
   * Adds the line that says what has changed last; it is on disk when this resolves. How a task ended
   * is in force then, a process once that is committed.
   *
   * @throws what the disk answers: what it has taken in part counts for nothing.
   */
  add(record: TaskRecord): Promise<StagedFile> {
    const { task: { id } } = record;
    const adding = this.#add(record).finally(() => this.#adding.delete(id));
    this.#adding.set(id, adding);
    return adding;
  }

  /** Adds the line that says why a task is being ended. @throws what the disk answers. */
  async addCause(taskId: string, cause: EndCause): Promise<void> {
    const file = await this.#open(taskId);
    await write(file, causeLine(cause));
    await file.syncData();
  }

  /** Resolves when no line is being added to a task's file. */
  async added(taskId: string): Promise<void> {
    await this.#adding.get(taskId)?.catch(() => {});
  }

  async #add(record: TaskRecord): Promise<StagedFile> {
    const { task: { id }, outcome } = record;
    const file = await this.#open(id);
    await write(file, additionLine(record));
    await file.syncData();
    return {
      // Needs no sync: whoever starts the machine anew takes what was noted for begun.
      commit: async () => outcome ? this.close(id) : await write(await this.#open(id), BEGUN_LINE),
      sync: () => Promise.resolve(),
      discard: () => Promise.resolve(),
    };
  }

  async #open(taskId: string): Promise<Deno.FsFile> {
    const file = this.#files.get(taskId) ??
      await openOwn(this.#pathOf(taskId), { append: true });
    this.#files.set(taskId, file);
    return file;
  }
}

async function write(file: Deno.FsFile, line: string): Promise<void> {
  await writeAll(file, new TextEncoder().encode(line));
}
