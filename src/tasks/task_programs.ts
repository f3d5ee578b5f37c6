import type { Host, Program } from "../hosts/host.ts";
import type { ProcessGroup } from "../hosts/process_table.ts";
import type { OutputStore } from "../logs/task_log.ts";
import { bootTime } from "../system/boot_time.ts";
import type { TaskJournal } from "./journal.ts";
import type { StagedRecord, TaskRecord } from "./task_record.ts";
import type { TaskCommand } from "./task_type.ts";

/** Writes down what is to run; see {@linkcode TaskPrograms.note}. */
export type NoteProcess = (process: ProcessGroup) => Promise<StagedRecord>;

/** In the place of the record of a process that no start has to know of. */
const UNRECORDED: StagedRecord = {
  commit: () => Promise.resolve(true),
  sync: () => Promise.resolve(),
  discard: () => Promise.resolve(),
};

/** For programs of which no later agent has to know. */
export function noNote(): Promise<StagedRecord> {
  return Promise.resolve(UNRECORDED);
}

/** What the programs of a task need. */
export interface TaskProgramsOptions {
  /** Where they run. */
  host: Pick<Host, "start">;
  /** What survives the agent. */
  journal: Pick<TaskJournal, "stage">;
  /** What is written down of the task. */
  record: TaskRecord;
  /** Hears of each that has begun, but for those that only look at something. */
  onBegun: (program: Program) => void;
}

/** Starts the programs of a task: each waits at its gate for its record, and for the task to begin. */
export class TaskPrograms {
  readonly #options: TaskProgramsOptions;
  readonly #begun = Promise.withResolvers<void>();
  #isHandedBack = false;

  /** None runs before {@linkcode TaskPrograms.begin}. */
  constructor(options: TaskProgramsOptions) {
    this.#options = options;
    this.#begun.promise.catch(() => {});
  }

  /** Resolves when they may run, and rejects if none is to. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  /** Lets them run. */
  begin(): void {
    this.#begun.resolve();
  }

  /** Lets none run that has not begun: the task is not to. */
  refuse(reason: unknown): void {
    this.#begun.reject(reason);
  }

  /** Lets none begin any more: the next agent does that. */
  handBack(): void {
    this.#isHandedBack = true;
  }

  /** Whether none may begin here any more. */
  get isHandedBack(): boolean {
    return this.#isHandedBack;
  }

  /**
   * Starts one, and lets it run as soon as it may. `store` takes its output.
   *
   * @throws when it cannot be started, or must not run.
   */
  async start(
    command: TaskCommand,
    description: string,
    store: OutputStore | undefined,
    note: NoteProcess,
  ): Promise<Program> {
    const { host, record: { task }, onBegun } = this.#options;
    const { argv, env, signal, askFirst, inUnit, isLook = false } = command;
    const how = { argv, env, signal, askFirst, inUnit, isLook, store };
    const program = await host.start({ taskId: task.id, description, ...how });
    // A query ends with whoever asks; a look in a unit is found by that.
    const isUnrecorded = isLook && (!inUnit || program.group.unit !== undefined);
    const record = await (isUnrecorded ? noNote : note)(program.group);
    try {
      await this.#begun.promise;
      if (this.#isHandedBack) throw signal.reason;
    } catch (error) {
      await record.discard();
      await end(program);
      throw error;
    }
    await record.commit();
    // A loss of power must not undo that either, once the program may run.
    await record.sync();
    await program.open();
    if (!isLook) onBegun(program);
    return program;
  }

  /** Writes down what is to run, for the next agent to find. */
  async note(process: ProcessGroup): Promise<StagedRecord> {
    const { journal, record } = this.#options;
    const started = record.started ?? bootTime();
    const staged = await journal.stage({ ...record, process, started });
    return {
      ...staged,
      commit: () => {
        Object.assign(record, { process, started });
        return staged.commit();
      },
    };
  }
}

/** Ends a program that has not begun; its signal has aborted. */
async function end(program: Program): Promise<void> {
  await program.open();
  for await (const _ of program.output);
  await program.ended;
}
