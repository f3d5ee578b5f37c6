import { z } from "@zod/zod";
import type { AgentApi } from "../control_plane/agent_api.ts";
import { isUnauthorized, RefusedError } from "../control_plane/errors.ts";
import type { Completion, LogEntry } from "../control_plane/schemas.ts";
import { LogDelivery } from "../logs/delivery.ts";
import { OutputSummary } from "../logs/output_summary.ts";
import { Spool } from "../logs/spool.ts";
import { killGroupNow } from "../process/end_processes.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";
import { causeOf, watchControl } from "./control_watch.ts";
import { describeCause, type EndCause, outcomeOf } from "./end_cause.ts";
import type { TaskJournal, TaskRecord } from "./journal.ts";
import { GivenUpError, report } from "./report.ts";
import { describeBadPayload, type TaskOutcome, type TaskType, timeLimitMs } from "./task_type.ts";

/** How long the lines of a cancelled task may take to be delivered, in milliseconds. */
const CANCEL_DRAIN_MS = 3_000;
/** How long the lines and the end of a task may take when the agent itself stops, in milliseconds. */
const STOP_DRAIN_MS = 10_000;
/** The longest `error` of a completion, in UTF-16 units (contract: Tasks over HTTP). */
const MAX_ERROR_UNITS = 10_000;

/** What every task run shares. */
export interface TaskRunDeps {
  /** The control plane. */
  api: AgentApi;
  /** What survives the agent. */
  journal: TaskJournal;
  /** The known task types. */
  types: ReadonlyMap<string, TaskType>;
  /** The limit of tasks that bring none, in milliseconds. */
  defaultLimitMs: () => number;
  /** The agent's log. */
  logger: Logger;
}

/** One task from its claim to the control plane's knowing its end. */
export class TaskRun {
  readonly #deps: TaskRunDeps;
  readonly #record: TaskRecord;
  readonly #logger: Logger;
  readonly #end = new AbortController();
  readonly #giveUp = new AbortController();
  readonly #drainOver = new AbortController();
  readonly #stopSending = AbortSignal.any([this.#giveUp.signal, this.#drainOver.signal]);
  readonly #spool: Spool;
  readonly #delivery: LogDelivery;
  readonly #output = new OutputSummary();
  #cause: EndCause | undefined;
  #phase: "promised" | "running" | "reporting" = "promised";
  #refusedEntries = 0;
  #drainTimer: ReturnType<typeof setTimeout> | undefined;

  /** `recovered` is the spool that an earlier agent left. */
  constructor(deps: TaskRunDeps, record: TaskRecord, recovered?: Spool) {
    this.#deps = deps;
    this.#record = record;
    this.#logger = deps.logger.with({ taskId: record.task.id });
    this.#spool = recovered ?? new Spool(deps.journal.spoolPrefix(record.task.id), {
      onDiskError: (error) => deps.journal.diskFailed(error),
    });
    this.#delivery = new LogDelivery({ spool: this.#spool, send: (entry) => this.#send(entry) });
  }

  /** Runs the task, reports it, and resolves when nothing is left to be done for it now. */
  async run(): Promise<void> {
    await this.#deps.journal.write(this.#record);
    if (!await this.#begin()) return;
    this.#phase = "running";
    await this.#watched(async () => {
      const delivering = this.#deliverLog();
      await this.#finish(await this.#execute(), delivering);
    });
  }

  /** Delivers what an earlier agent left undelivered, then the end of the task. */
  async deliver(completion: Completion): Promise<void> {
    this.#phase = "reporting";
    await this.#watched(() => this.#finish(completion, this.#deliverLog()));
  }

  /** Makes the task end; only the first cause counts. A task that is being reported is hurried. */
  end(cause: EndCause): void {
    const gone = cause.kind === "ended on the control plane";
    if (this.#phase === "running") {
      if (this.#cause) return;
      this.#cause = cause;
      this.#logger.info("task is ended", { cause: describeCause(cause) });
      if (!gone) void this.#delivery.note(`[${describeCause(cause)}]`, Date.now());
      this.#end.abort();
    } else if (cause.kind === "cancelled") {
      this.#stopDeliveryIn(CANCEL_DRAIN_MS);
    } else {
      if (gone) this.#cause = cause;
      this.#giveUp.abort();
    }
    if (gone) this.#giveUp.abort();
  }

  /** Kills the processes without a word; the next start of the agent reports them. */
  killNow(): void {
    if (this.#phase === "running" && this.#record.process) killGroupNow(this.#record.process);
  }

  /** Does `work` while the control plane is asked whether the task is still wanted. */
  async #watched(work: () => Promise<void>): Promise<void> {
    const watch = new AbortController();
    const onCause = (cause: EndCause) => this.end(cause);
    const { id } = this.#record.task;
    const watching = watchControl(this.#deps.api, id, onCause, watch.signal, this.#logger);
    try {
      await work();
    } finally {
      watch.abort();
      await watching;
    }
  }

  async #deliverLog(): Promise<boolean> {
    try {
      return await this.#delivery.run();
    } catch (error) {
      this.#logger.error("log delivery failed", { error: messageOf(error) });
      return false;
    }
  }

  /** Accepts and starts the task on the control plane; false if it is not to be run. */
  async #begin(): Promise<boolean> {
    const { api, journal } = this.#deps;
    const { id, type } = this.#record.task;
    try {
      await report("accepted", () => api.accepted(id), this.#giveUp.signal, this.#logger);
      await report("started", () => api.started(id), this.#giveUp.signal, this.#logger);
      this.#logger.info("task started", { type });
      return true;
    } catch (error) {
      // Given up: the next start tries again, unless the server has by then.
      if (error instanceof GivenUpError) return false;
      this.#logger.warn("task is not run", { type, error: messageOf(error) });
      await journal.forget(id);
      return false;
    }
  }

  async #execute(): Promise<Completion> {
    const startedMs = performance.now();
    let limit: ReturnType<typeof setTimeout> | undefined;
    let outcome: TaskOutcome;
    try {
      const { task } = this.#record;
      const type = this.#deps.types.get(task.type);
      if (!type) throw new Error(`unsupported task type: ${task.type}`);
      const work = type.prepare(task.payload);
      const limitMs = timeLimitMs(task, this.#deps.defaultLimitMs());
      limit = setTimeout(() => this.end({ kind: "time limit", limitMs }), limitMs);
      outcome = await work({
        taskId: task.id,
        signal: this.#end.signal,
        onSpawn: (process) => this.#journal({ process }),
        onLines: async (stream, lines) => {
          this.#output.push(stream, lines);
          await this.#delivery.push(stream, lines, Date.now());
        },
      });
    } catch (error) {
      const sentence = error instanceof z.ZodError ? describeBadPayload(error) : messageOf(error);
      outcome = { status: "failed", error: sentence };
    } finally {
      clearTimeout(limit);
    }
    if (this.#cause) outcome = outcomeOf(this.#cause, outcome);
    return this.#complete(outcome, Math.round(performance.now() - startedMs));
  }

  #complete(outcome: TaskOutcome, durationMs: number): Completion {
    const output = this.#output.toString();
    const { error, ...rest } = outcome;
    return {
      ...rest,
      durationMs,
      ...(output === "" ? {} : { output }),
      ...(error === undefined ? {} : { error: storable(error) }),
    };
  }

  /** Delivers the rest of the log, then the completion, and closes the journal. */
  async #finish(completion: Completion, delivering: Promise<boolean>): Promise<void> {
    const { id } = this.#record.task;
    const { api } = this.#deps;
    this.#phase = "reporting";
    if (this.#cause?.kind !== "ended on the control plane") {
      await this.#journal({ outcome: completion });
    }
    this.#delivery.end();
    if (this.#cause?.kind === "cancelled") this.#stopDeliveryIn(CANCEL_DRAIN_MS);
    const stopTimer = this.#cause?.kind === "stopping"
      ? setTimeout(() => this.#giveUp.abort(), STOP_DRAIN_MS)
      : undefined;
    const allDelivered = await delivering;
    clearTimeout(this.#drainTimer);
    try {
      await report(
        "completed",
        () => api.completed(id, completion),
        this.#giveUp.signal,
        this.#logger,
      );
      this.#logger.info("task finished", summary(completion, allDelivered, this.#refusedEntries));
      await this.#close(completion);
    } catch (error) {
      await this.#unreported(error, completion);
    } finally {
      clearTimeout(stopTimer);
    }
  }

  async #unreported(error: unknown, completion: Completion): Promise<void> {
    if (this.#cause?.kind === "ended on the control plane") {
      await this.#close({ ...completion, status: "failed" });
    } else if (error instanceof GivenUpError || isUnauthorized(error)) {
      // Kept in the journal: the next start of the agent delivers it.
      this.#logger.warn("task end is kept for the next start", { error: messageOf(error) });
      await this.#spool[Symbol.asyncDispose]();
    } else {
      this.#logger.error("control plane refuses the end of the task", { error: messageOf(error) });
      await this.#close(completion);
    }
  }

  async #close(completion: Completion): Promise<void> {
    await this.#spool.discard();
    await this.#deps.journal.close(this.#record.task.id, completion);
  }

  async #journal(news: Partial<TaskRecord>): Promise<void> {
    Object.assign(this.#record, news);
    await this.#deps.journal.write(this.#record);
  }

  #stopDeliveryIn(limitMs: number): void {
    this.#drainTimer ??= setTimeout(() => {
      this.#delivery.stop();
      this.#drainOver.abort();
    }, limitMs);
  }

  /** Log entries are refused when the task does not run any more: no need to wait for the next look. */
  async #endedMeanwhile(): Promise<boolean> {
    const control = await this.#deps.api.control(this.#record.task.id).catch(() => undefined);
    const cause = control && causeOf(control);
    if (cause) this.end(cause);
    return cause?.kind === "ended on the control plane";
  }

  async #send(entry: LogEntry): Promise<boolean> {
    const { id } = this.#record.task;
    try {
      const { api } = this.#deps;
      await report("log", () => api.log(id, entry), this.#stopSending, this.#logger);
      return true;
    } catch (error) {
      if (error instanceof GivenUpError) return false;
      if (!(error instanceof RefusedError)) throw error;
      if (error.status === 409 && await this.#endedMeanwhile()) return false;
      if (this.#refusedEntries++ === 0) {
        this.#logger.warn("control plane refuses log lines", { error: error.message });
      }
      return true;
    }
  }
}

function summary(completion: Completion, allDelivered: boolean, refusedEntries: number) {
  const { status, exitCode, error, durationMs } = completion;
  return {
    status,
    exitCode,
    error,
    durationMs,
    ...(allDelivered ? {} : { linesLeftOut: true }),
    ...(refusedEntries > 0 ? { refusedEntries } : {}),
  };
}

/** What the control plane's database cannot store is replaced, what it would refuse is cut. */
function storable(text: string): string {
  return text.slice(0, MAX_ERROR_UNITS).toWellFormed().replaceAll("\0", "\ufffd");
}
