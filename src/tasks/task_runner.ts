import * as z from "@zod/zod";
import type { AgentApi } from "../control_plane/agent_api.ts";
import type { Completion } from "../control_plane/schemas.ts";
import { OutputSummary } from "../logs/output_summary.ts";
import { storable } from "../logs/line_decoder.ts";
import { SecretMask } from "../logs/secret_mask.ts";
import type { LogMemory } from "../logs/log_memory.ts";
import type { Spool } from "../logs/spool.ts";
import type { Privileges } from "../privileges/privileges.ts";
import { killTaskProcessesNow } from "../hosts/end_processes.ts";
import type { ProcessGroup } from "../hosts/process_table.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";
import { pollCancellation } from "./cancellation_poller.ts";
import { describeCause, type EndCause, outcomeOf } from "./end_cause.ts";
import type { TaskJournal, TaskRecord } from "./journal.ts";
import { GivenUpError } from "./report.ts";
import { TaskReporter } from "./task_reporter.ts";
import { secretsOf } from "./task_secrets.ts";
import { describeBadPayload, type TaskOutcome, type TaskType, timeLimitMs } from "./task_type.ts";

/** How long the lines of a cancelled task may take to be delivered, in milliseconds. */
const CANCEL_DRAIN_MS = 3_000;
/** How long the lines and the end of a task may take when the agent itself stops, in milliseconds. */
const STOP_REPORT_MS = 10_000;
/**
 * The longest `error` of a task, in UTF-16 units: the control plane takes 10 000 (contract: Tasks
 * over HTTP), and a sentence about lines that were not delivered may be added.
 */
const MAX_ERROR_UNITS = 9_900;

/** What every task run shares. */
export interface TaskRunnerDeps {
  /** The control plane. */
  api: AgentApi;
  /** What survives the agent. */
  journal: TaskJournal;
  /** The known task types. */
  types: ReadonlyMap<string, TaskType>;
  /** What no task may show, whatever its type: the agent's token. */
  secrets: readonly string[];
  /** Who runs what. */
  privileges: Privileges;
  /** The limit of tasks that bring none, in milliseconds. */
  defaultLimitMs: () => number;
  /** How many tasks may be unfinished before no further one is taken; 0 for any number. */
  maxTasks: () => number;
  /** What the undelivered lines of all tasks may take. */
  logMemory: LogMemory;
  /** Hears of the outcome of each task that has ended, before it is reported. */
  onEnded?: (status: Completion["status"]) => void;
  /** The agent's log. */
  logger: Logger;
}

/** A task run as it is now. */
export interface RunSnapshot {
  /** The task. */
  id: string;
  /** Its type. */
  type: string;
  /** When it was claimed, RFC 3339. */
  since: string;
  /** Whether it has ended, and only has to be reported. */
  reporting: boolean;
  /** How much of its log is not delivered yet, in UTF-16 units. */
  backlog: number;
}

/** One task from its claim to the control plane's knowing its end. */
export class TaskRunner {
  readonly #deps: TaskRunnerDeps;
  readonly #record: TaskRecord;
  readonly #logger: Logger;
  readonly #report: TaskReporter;
  readonly #end = new AbortController();
  readonly #output = new OutputSummary();
  readonly #mask: SecretMask;
  #cause: EndCause | undefined;
  #phase: "promised" | "running" | "reporting" = "promised";

  /** `recovered` is the spool that an earlier agent left. */
  constructor(deps: TaskRunnerDeps, record: TaskRecord, recovered?: Spool) {
    this.#deps = deps;
    this.#record = record;
    const { id: taskId, payload } = record.task;
    const logger = deps.logger.with({ taskId });
    const onCause = (cause: EndCause) => this.end(cause);
    this.#logger = logger;
    this.#mask = new SecretMask([...deps.secrets, ...secretsOf(payload)]);
    this.#report = new TaskReporter({ ...deps, taskId, logger, onCause, recovered });
  }

  /** What can be seen of it from outside. */
  get now(): RunSnapshot {
    const { task: { id, type }, claimedAt } = this.#record;
    const reporting = this.#phase === "reporting";
    return { id, type, since: claimedAt, reporting, backlog: this.#report.backlog };
  }

  /** Runs the task, reports it, and resolves when nothing is left to be done for it now. */
  async run(): Promise<void> {
    await this.#deps.journal.write(this.#record);
    if (!await this.#begin()) return;
    this.#phase = "running";
    await this.#watched(async () => {
      this.#report.openLog();
      await this.#finish(await this.#execute());
    });
  }

  /** Delivers what an earlier agent left undelivered, then the end of the task. */
  async deliver(completion: Completion): Promise<void> {
    this.#phase = "reporting";
    await this.#watched(() => this.#finish(completion));
  }

  /** Makes the task end; only the first cause counts. A task that is being reported is hurried. */
  end(cause: EndCause): void {
    const gone = cause.kind === "ended on the control plane";
    if (gone) this.#report.taskIsGone();
    if (this.#phase === "promised") {
      this.#cause ??= cause;
      this.#report.doNotBegin();
    } else if (this.#phase === "running") {
      if (this.#cause && cause.kind === "stopping") this.#report.giveUpIn(STOP_REPORT_MS);
      if (this.#cause) return;
      this.#cause = cause;
      const why = this.#mask.apply(describeCause(cause));
      this.#logger.info("task is ended", { cause: why });
      if (!gone) void this.#report.note(`[${why}]`);
      this.#end.abort(cause);
    } else if (cause.kind === "cancelled") {
      // A task that was cancelled before has its limit, which begins when its end is on disk.
      if (this.#cause?.kind !== "cancelled") this.#report.limitDrain(CANCEL_DRAIN_MS);
    } else {
      this.#report.giveUp();
    }
  }

  /** Kills the processes without a word; the next start of the agent reports them. */
  killNow(): void {
    const { process, task } = this.#record;
    if (this.#phase === "running" && process) killTaskProcessesNow(task.id, process);
  }

  /** Does `work` while the control plane is asked whether the task is still wanted. */
  async #watched(work: () => Promise<void>): Promise<void> {
    const watch = new AbortController();
    const onCause = (cause: EndCause) => this.end(cause);
    const { id } = this.#record.task;
    const watching = pollCancellation(this.#deps.api, id, onCause, watch.signal, this.#logger);
    try {
      await work();
    } finally {
      watch.abort();
      await watching;
    }
  }

  /** Tells the control plane that the task runs now; false if it is not to be run. */
  async #begin(): Promise<boolean> {
    const { id, type } = this.#record.task;
    try {
      await this.#report.begin();
      this.#logger.info("task started", { type });
      return true;
    } catch (error) {
      // Given up: the next start tries again, unless the server has by then.
      if (error instanceof GivenUpError) return false;
      this.#logger.warn("task is not run", { type, error: messageOf(error) });
      await this.#deps.journal.forget(id);
      return false;
    }
  }

  async #execute(): Promise<Completion> {
    const startedMs = performance.now();
    if (this.#cause) {
      const outcome = outcomeOf(this.#cause, { status: "failed" });
      return completionOf(outcome, "", 0, this.#mask);
    }
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
        privileges: this.#deps.privileges,
        signal: this.#end.signal,
        onSpawn: (group) => this.#onSpawn(group),
        endTimeLimit: () => clearTimeout(limit),
        mask: this.#mask,
        onLines: async (stream, lines) => {
          this.#output.push(stream, lines);
          await this.#report.write(stream, stream === "system" ? this.#mask.apply(lines) : lines);
        },
      });
    } catch (error) {
      const sentence = error instanceof z.ZodError ? describeBadPayload(error) : messageOf(error);
      outcome = { status: "failed", error: sentence };
    } finally {
      clearTimeout(limit);
    }
    if (this.#cause) outcome = outcomeOf(this.#cause, outcome);
    const durationMs = performance.now() - startedMs;
    return completionOf(outcome, this.#output.toString(), durationMs, this.#mask);
  }

  /** A record that does not know of its process would let the next start run the task again. */
  async #onSpawn(group: ProcessGroup): Promise<void> {
    const { journal } = this.#deps;
    this.#record.process = group;
    if (!await journal.write(this.#record)) await journal.forget(this.#record.task.id);
  }

  async #finish(completion: Completion): Promise<void> {
    this.#phase = "reporting";
    this.#deps.onEnded?.(completion.status);
    if (this.#cause?.kind !== "ended on the control plane") {
      this.#record.outcome = completion;
      await this.#deps.journal.write(this.#record);
    }
    if (this.#cause?.kind === "cancelled") this.#report.limitDrain(CANCEL_DRAIN_MS);
    if (this.#cause?.kind === "stopping") this.#report.giveUpIn(STOP_REPORT_MS);
    await this.#report.finish(completion);
  }
}

function completionOf(
  outcome: TaskOutcome,
  output: string,
  durationMs: number,
  mask: SecretMask,
): Completion {
  const { error: own, aftermath, ...rest } = outcome;
  const error = [own, aftermath].filter((sentence) => sentence !== undefined).join("; ");
  return {
    ...rest,
    durationMs: Math.round(durationMs),
    ...(output === "" ? {} : { output }),
    ...(error === "" ? {} : { error: storable(mask.apply(error).slice(0, MAX_ERROR_UNITS)) }),
  };
}
