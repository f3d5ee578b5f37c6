import { delay } from "@std/async";
import type { Completion } from "../control_plane/schemas.ts";
import type { Found, Host, HostCommand } from "../hosts/host.ts";
import type { SecretMask } from "../logs/secret_mask.ts";
import { type LogMemory, Spool } from "../logs/spool.ts";
import { TaskLog } from "../logs/task_log.ts";
import { BusClosedError } from "../system/bus_message.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";
import { startLine } from "./command_output.ts";
import type { TaskJournal } from "./journal.ts";
import type { TaskRecord } from "./task_record.ts";
import type { TaskContext, TaskType } from "./task_type.ts";

/** The pause between two tries where systemd does not answer, in milliseconds. */
const ASK_AGAIN_MS = 250;
const RESTARTED = "the agent was restarted while the task ran";
const DAMAGED = "[the agent's state was damaged: lines may be missing here, or be there twice]\n";
/** Nobody knows any more which secrets its lines may hold. */
const WITHHELD =
  "[the agent's state was damaged: lines that were not delivered yet are left out]\n";

/** What every task works with, taken up or new. */
export interface LeftTaskDeps {
  /** What survives the agent. */
  journal: TaskJournal;
  /** Where programs run. */
  host: Host;
  /** The known task types. */
  types: ReadonlyMap<string, TaskType>;
  /** What the undelivered lines of all tasks may take. */
  logMemory: LogMemory;
}

/** What tells of a task that an earlier agent has left. */
export interface LeftTaskOptions {
  /** What every task run shares. */
  deps: LeftTaskDeps;
  /** What the earlier agent wrote down. */
  record: TaskRecord;
  /** What became of that, where it is known by the task's id alone. */
  damage: string | undefined;
  /** What no line may show. */
  mask: SecretMask;
  /** The agent's log. */
  logger: Logger;
}

/** The log of a task, in which there is nothing; or what is in the spool given. */
export function openTaskLog(
  { journal, logMemory: memory }: Pick<LeftTaskDeps, "journal" | "logMemory">,
  taskId: string,
  mask: SecretMask,
  spool?: Spool,
): TaskLog {
  const onDiskError = (error: unknown) => journal.diskFailed(error);
  spool ??= new Spool(journal.spoolPrefix(taskId), { memory, onDiskError });
  return new TaskLog(spool, mask, { hidden: startLine(taskId) });
}

/** A task that an earlier agent has begun: its log, its program, and what becomes of either. */
export class LeftTask {
  readonly #options: LeftTaskOptions;

  /** Nothing is looked at yet. */
  constructor(options: LeftTaskOptions) {
    this.#options = options;
  }

  /** Its log, from where its delivery has come to. */
  async openLog(): Promise<TaskLog> {
    const { deps, record: { task: { id } }, damage, mask } = this.#options;
    const { journal, logMemory: memory } = deps;
    let word: string | undefined;
    const spool = await Spool.recover(journal.spoolPrefix(id), {
      memory,
      onDiskError: (error) => journal.diskFailed(error),
      onDamaged: async (path) => {
        word = DAMAGED;
        await journal.keepDamaged(path);
      },
    });
    let log = openTaskLog(deps, id, mask, spool);
    if (damage !== undefined) {
      if (log.undelivered > 0) word = WITHHELD;
      await log.discard();
      log = openTaskLog(deps, id, mask);
    }
    await log.catchUp();
    if (word !== undefined) await log.write("system", word);
    return log;
  }

  /** Its program, if that still runs, or has not begun; `leaving` is how it is asked to leave. */
  async findProgram(
    log: TaskLog,
    signal: AbortSignal,
    leaving: () => Promise<HostCommand["askFirst"]>,
  ): Promise<Found> {
    const { deps: { host }, record: { process, task: { id: taskId } }, damage } = this.#options;
    if (!process || damage !== undefined) return "gone";
    try {
      const askFirst = await leaving();
      const command = { taskId, signal, store: log.store, askFirst };
      return await this.#answered(() => host.takeUp(command, process));
    } catch (error) {
      const fields = { error: messageOf(error) };
      this.#options.logger.warn("program of the task cannot be taken up", fields);
      return "gone";
    }
  }

  /** Ends what runs of it; its type looks at what is left, in the context that it is given. */
  async end(context: () => TaskContext): Promise<Completion> {
    const { deps: { host, types }, record, damage = "", logger } = this.#options;
    const { process, task: { id, type } } = record;
    logger.warn("task was running when the agent ended");
    const { orphanMs = 0 } = types.get(type) ?? {};
    if (orphanMs > 0) await this.#answered(() => host.waitFor(id, process, orphanMs));
    await this.#answered(() => host.end(id, process));
    const aftermath = await this.#aftermath(context);
    const error = RESTARTED + damage + (aftermath === undefined ? "" : `; ${aftermath}`);
    return { status: "failed", error };
  }

  /** What systemd says of it, for which it is asked until it answers: it may be away for long. */
  async #answered<T>(ask: () => Promise<T>): Promise<T> {
    for (let isTold = false;; isTold = true) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof BusClosedError)) throw error;
        const fields = { error: messageOf(error) };
        if (!isTold) {
          this.#options.logger.warn("systemd does not answer, task waits for it", fields);
        }
        await delay(ASK_AGAIN_MS);
      }
    }
  }

  /** What has to be repaired; a look that fails holds no report up. */
  async #aftermath(context: () => TaskContext): Promise<string | undefined> {
    const { deps: { types }, record, logger } = this.#options;
    try {
      return await types.get(record.task.type)?.afterOrphan?.(context());
    } catch (error) {
      logger.warn("remains of the task could not be checked", { error: messageOf(error) });
      return undefined;
    }
  }
}
