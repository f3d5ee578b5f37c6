import { join } from "@std/path";
import type { Completion } from "../control_plane/schemas.ts";
import { type StagedFile, stageFile } from "../system/atomic_file.ts";
import { removeSpool } from "../logs/spool_disk.ts";
import type { Logger } from "../system/logger.ts";
import { copyOwn, NotOwnError, readOwn } from "../system/own_file.ts";
import { messageOf } from "../system/user_error.ts";
import { EndedTasks } from "./ended_tasks.ts";
import { SPOOL_FILE, sweepJournal } from "./journal_sweep.ts";
import { RecordFiles } from "./record_files.ts";
import { parseRecord, recordLine, type StagedRecord, type TaskRecord } from "./task_record.ts";

/** A journal that could not be read; the file is set aside. */
export interface DamagedRecord {
  /** The task, as the file's name told it. */
  taskId: string;
  /** Where the file is now. */
  setAside: string;
}

/** What an earlier run of the agent left unfinished. */
export interface Unfinished {
  /** Readable records. */
  records: TaskRecord[];
  /** Unreadable ones. */
  damaged: DamagedRecord[];
}

const WARN_EVERY_MS = 60 * 60 * 1_000;
const RECORD_FILE = /^([A-Za-z0-9_-]{1,128})\.json$/;

/**
 * Keeps in the state folder what must survive the agent's death: one small file a task, made (fsync,
 * rename) before the task is promised, with a line added (fdatasync) before each later step, and
 * removed once the control plane has the completion. A disk that refuses is warned of, once an hour;
 * tasks go on without it, and what it has refused is kept for when it takes something again.
 */
export class TaskJournal {
  /** The tasks that have ended here. */
  readonly ended: EndedTasks;
  readonly #folder: string;
  readonly #logger: Logger;
  readonly #onRefused: (why: string) => void;
  #warnedMs = -Infinity;
  /** The records that the disk has refused, by their tasks: they are in memory alone. */
  readonly #refused = new Map<string, string>();
  readonly #files = new RecordFiles((taskId) => this.#path(taskId));
  /** The tasks of which an earlier agent has left output; undefined where nobody knows. */
  #leftOutput: Set<string> | undefined;
  #writing: Promise<void> | undefined;

  private constructor(
    folder: string,
    logger: Logger,
    ended: EndedTasks,
    onRefused: (why: string) => void,
  ) {
    this.#folder = folder;
    this.#logger = logger;
    this.ended = ended;
    this.#onRefused = onRefused;
  }

  /**
   * Opens the journal in `folder`, which is made if need be, and tells what was left unfinished;
   * `onRefused` hears why the disk refused, each time.
   */
  static async open(
    folder: string,
    logger: Logger,
    onRefused: (why: string) => void = () => {},
  ): Promise<{ journal: TaskJournal; unfinished: Unfinished }> {
    const unfinished: Unfinished = { records: [], damaged: [] };
    const endedPath = join(folder, "ended.jsonl");
    const ended = new EndedTasks(endedPath, (error) => refuse(logger, error));
    const journal = new TaskJournal(folder, logger, ended, onRefused);
    try {
      await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
      if (!await journal.ended.load()) await journal.keepDamaged(endedPath);
      const leftOutput = new Set<string>();
      for await (const { name } of Deno.readDir(folder)) {
        const taskId = RECORD_FILE.exec(name)?.[1];
        const printed = SPOOL_FILE.exec(name)?.[1];
        if (printed) leftOutput.add(printed);
        if (taskId) await journal.#read(taskId, unfinished);
        else if (name.endsWith(".tmp")) {
          await journal.#attempt(() => removeIfThere(join(folder, name)));
        }
      }
      journal.#leftOutput = leftOutput;
    } catch (error) {
      journal.diskFailed(error);
    }
    return { journal, unfinished };
  }

  /** Where the files of a task's lines begin. */
  spoolPrefix(taskId: string): string {
    return join(this.#folder, taskId);
  }

  /** Removes what an earlier agent has left of a task's output, for a task that begins anew. */
  async removeLeftOutput(taskId: string): Promise<void> {
    if (this.#leftOutput && !this.#leftOutput.delete(taskId)) return;
    await removeSpool(this.spoolPrefix(taskId));
  }

  /** Writes a record down; it is on disk when this resolves, or false if the disk refuses. */
  async write(record: TaskRecord): Promise<boolean> {
    const staged = await this.stage(record);
    const isWritten = await staged.commit();
    await staged.sync();
    return isWritten;
  }

  /**
   * Notes why a task is being ended, which the record says already. Where the disk refuses, what it
   * holds of the task stays as it is: the next agent tells how the program has ended then.
   */
  async noteCause(record: TaskRecord): Promise<void> {
    const { task: { id }, cause } = record;
    if (!cause) return;
    // That of an earlier agent is not added to.
    if (!this.#files.has(id)) return void await this.write(record);
    if (!await this.#attempt(() => this.#files.addCause(id, cause))) this.#files.drop(id);
  }

  /** Writes all of a record anew; nothing that was noted before counts. */
  async rewrite(record: TaskRecord): Promise<void> {
    await this.#files.added(record.task.id);
    this.#files.drop(record.task.id);
    await this.write(record);
  }

  /** Lets go of a task's file in the end: it is open for the lines to come while the task runs. */
  holding(taskId: string): Disposable {
    return { [Symbol.dispose]: () => this.#files.close(taskId) };
  }

  /**
   * The first step of {@linkcode TaskJournal.write}, which takes most of its time; `onWaiting` is
   * called when nothing but the disk is waited for, unless that refuses.
   */
  async stage(record: TaskRecord, onWaiting?: () => void): Promise<StagedRecord> {
    const { task: { id }, process, cause, outcome } = record;
    const text = recordLine(record);
    const staged = await this.#add(record) ?? await this.#stage(id, text, onWaiting);
    return {
      commit: async () => {
        await this.#supersede(id);
        if (await this.#attempt(async () => await staged?.commit()) && staged) {
          this.#files.take(id);
          this.#writeRefusedSoon();
          return true;
        }
        this.#files.drop(id);
        // One that does not know of its process would let the next start run the task again. What is
        // being ended has had its process written down before.
        if (process && !outcome && !cause) await this.#attempt(() => removeIfThere(this.#path(id)));
        this.#refused.set(id, text);
        return false;
      },
      sync: async () => void await this.#attempt(async () => await staged?.sync()),
      discard: async () => await staged?.discard(),
    };
  }

  /** Forgets a task that was not run, so that it may come again. */
  async forget(taskId: string): Promise<void> {
    await this.#supersede(taskId);
    this.#files.drop(taskId);
    await this.#attempt(() => removeIfThere(this.#path(taskId)));
  }

  /** Closes a task for good: its id is remembered and its record removed. */
  async close(taskId: string, outcome: Completion): Promise<void> {
    if (await this.#attempt(() => this.ended.add(taskId, outcome))) this.#writeRefusedSoon();
    await this.forget(taskId);
  }

  /** Writes what the disk has refused, as far as it takes it now. */
  writeRefused(): Promise<void> {
    return this.#writing ??= this.#writeRefused().finally(() => this.#writing = undefined);
  }

  /** Keeps a copy of a damaged file as `.corrupt` and names it; what can be read of it still counts. */
  async keepDamaged(path: string): Promise<void> {
    const kept = `${path}.corrupt`;
    await this.#attempt(() => copyOwn(path, kept));
    this.#logger.error("state file is damaged, a copy is kept", { file: kept });
  }

  /** Removes what is old and belongs to no task: neither to one on disk nor to one that is at work. */
  async sweep(isAtWork: (taskId: string) => boolean): Promise<void> {
    await this.#attempt(async () => {
      const files = await sweepJournal(this.#folder, isAtWork);
      if (files.length > 0) this.#logger.info("old files of tasks were removed", { files });
    });
  }

  /** Notes that the disk refused; a disk that is nearly full does so again and again. */
  diskFailed(error: unknown): void {
    if (error instanceof NotOwnError) return refuse(this.#logger, error);
    this.#onRefused(messageOf(error));
    const nowMs = performance.now();
    if (nowMs - this.#warnedMs < WARN_EVERY_MS) return;
    this.#warnedMs = nowMs;
    this.#logger.warn("state folder cannot be written, tasks go on in memory", {
      folder: this.#folder,
      error: messageOf(error),
      lost: "what is not delivered when the agent dies",
    });
  }

  /** Undefined where lines cannot be added to the record's file. */
  async #add(record: TaskRecord): Promise<StagedFile | undefined> {
    const { task: { id } } = record;
    if (!this.#files.has(id)) return undefined;
    let added: StagedFile | undefined;
    await this.#attempt(async () => {
      added = await this.#files.add(record);
    });
    if (!added) this.#files.drop(id);
    return added;
  }

  async #stage(
    taskId: string,
    text: string,
    onWaiting?: () => void,
  ): Promise<StagedFile | undefined> {
    let staged: StagedFile | undefined;
    await this.#attempt(async () => {
      staged = await stageFile(this.#path(taskId), text, { isOwn: true, onWaiting });
    });
    return staged;
  }

  /** What was refused of a task is old now, and comes behind nothing that is newer. */
  async #supersede(taskId: string): Promise<void> {
    this.#refused.delete(taskId);
    if (this.#writing) await this.#writing;
  }

  #writeRefusedSoon(): void {
    if (this.#refused.size > 0 || this.ended.isBehind) void this.writeRefused();
  }

  async #writeRefused(): Promise<void> {
    for (const [taskId, text] of this.#refused) {
      const staged = await this.#stage(taskId, text);
      if (!staged) return;
      if (this.#refused.get(taskId) !== text) await staged.discard();
      else if (!await this.#attempt(() => staged.commit())) return;
      else {
        this.#refused.delete(taskId);
        await this.#attempt(() => staged.sync());
      }
    }
    await this.#attempt(() => this.ended.catchUp());
  }

  async #attempt(write: () => Promise<void>): Promise<boolean> {
    try {
      await write();
      return true;
    } catch (error) {
      this.diskFailed(error);
      return false;
    }
  }

  async #read(taskId: string, unfinished: Unfinished): Promise<void> {
    const path = this.#path(taskId);
    try {
      const record = parseRecord(await readOwn(path));
      if (record.task.id !== taskId) throw new Error(`it is about task ${record.task.id}`);
      unfinished.records.push(record);
    } catch (error) {
      // Nobody knows who has written it: it is neither run nor reported.
      if (error instanceof NotOwnError) return refuse(this.#logger, error);
      const setAside = `${path}.corrupt`;
      this.#logger.error("journal file is damaged and set aside", {
        file: setAside,
        taskId,
        error: messageOf(error),
      });
      await this.#attempt(async () => {
        await Deno.rename(path, setAside);
        // It is kept for some days from now on.
        await Deno.utime(setAside, new Date(), new Date());
      });
      unfinished.damaged.push({ taskId, setAside });
    }
  }

  #path(taskId: string): string {
    return join(this.#folder, `${taskId}.json`);
  }
}

function refuse(logger: Logger, { path: file, message }: NotOwnError): void {
  logger.error("state file is not used", { file, problem: message });
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
