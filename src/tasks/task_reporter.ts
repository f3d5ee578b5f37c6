import type { AgentApi } from "../control_plane/agent_api.ts";
import { RefusedError } from "../control_plane/errors.ts";
import type { Completion, LogEntry, LogStream } from "../control_plane/schemas.ts";
import { LogUploader } from "../logs/log_uploader.ts";
import type { LogMemory } from "../logs/log_memory.ts";
import { Spool } from "../logs/spool.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";
import { causeOf } from "./cancellation_poller.ts";
import type { EndCause } from "./end_cause.ts";
import { EntryPatience } from "./entry_patience.ts";
import type { TaskJournal } from "./journal.ts";
import { GivenUpError, report, type ReportOptions } from "./report.ts";

/** How long an end that is refused is tried: after that it is not taken any more, in milliseconds. */
const REPORTABLE_MS = 30 * 60_000;

/** What a {@linkcode TaskReporter} works with. */
export interface TaskReporterOptions {
  /** The task. */
  taskId: string;
  /** The control plane. */
  api: AgentApi;
  /** What survives the agent. */
  journal: TaskJournal;
  /** What the undelivered lines of all tasks may take. */
  logMemory: LogMemory;
  /** The agent's log; it names the task already. */
  logger: Logger;
  /** Hears of it when the control plane has ended the task or wants it cancelled. */
  onCause: (cause: EndCause) => void;
  /** The lines that an earlier agent left. */
  recovered?: Spool | undefined;
}

/**
 * What the control plane is told of one task, in the contract's order: accepted, started, log
 * entries, completed, one call after the other.
 */
export class TaskReporter {
  readonly #options: TaskReporterOptions;
  readonly #giveUp = new AbortController();
  readonly #notBegun = new AbortController();
  readonly #drainOver = new AbortController();
  readonly #stopSending = AbortSignal.any([this.#giveUp.signal, this.#drainOver.signal]);
  readonly #spool: Spool;
  readonly #uploader: LogUploader;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #delivering: Promise<boolean> | undefined;
  readonly #patience = new EntryPatience(() => this.#isServed());
  #refusedEntries = 0;
  /** Whether not even a word about refused entries is taken. */
  #wordless = false;
  #hurried = false;
  #gone = false;

  /** Nothing is told yet. */
  constructor(options: TaskReporterOptions) {
    this.#options = options;
    const { journal, logMemory: memory, taskId, recovered } = options;
    this.#spool = recovered ?? new Spool(journal.spoolPrefix(taskId), {
      memory,
      onDiskError: (error) => journal.diskFailed(error),
    });
    this.#uploader = new LogUploader({ spool: this.#spool, send: (entry) => this.#send(entry) });
  }

  /**
   * Accepts and starts the task.
   *
   * @throws {RefusedError} if the control plane does not want it run any more.
   * @throws {GivenUpError} after {@linkcode TaskReporter.doNotBegin}.
   */
  async begin(): Promise<void> {
    const { api, taskId } = this.#options;
    const how = this.#how(this.#notBegun.signal);
    await report("accepted", (patience) => api.accepted(taskId, patience), how);
    await report("started", (patience) => api.started(taskId, patience), how);
  }

  /** Tries no more to begin; a call under way may begin the task all the same. */
  doNotBegin(): void {
    this.#notBegun.abort();
  }

  /** From now on lines are delivered as they come. */
  openLog(): void {
    this.#delivering ??= this.#uploader.run().catch((error) => {
      this.#options.logger.error("log delivery failed", { error: messageOf(error) });
      return false;
    });
  }

  /** How much of the log is not delivered yet, in UTF-16 units. */
  get backlog(): number {
    return this.#spool.undelivered;
  }

  /** Takes whole lines, each with its newline; resolves when they are safe. */
  write(stream: LogStream, lines: string): Promise<void> {
    return this.#uploader.push(stream, lines, Date.now());
  }

  /** Adds a line of the agent's own. */
  note(line: string): Promise<void> {
    return this.#uploader.note(line, Date.now());
  }

  /** Delivers what is left of the log, then the completion, and closes the journal. */
  async finish(completion: Completion): Promise<void> {
    const { api, logger, taskId } = this.#options;
    this.openLog();
    this.#uploader.end();
    const end = await this.#delivering ? completion : withoutLastLines(completion);
    try {
      const completed = (patience: number) => api.completed(taskId, end, patience);
      const endMs = performance.now() + REPORTABLE_MS;
      const isFinal = async () => performance.now() >= endMs && await this.#isServed();
      await report("completed", completed, { ...this.#how(this.#giveUp.signal), isFinal });
      logger.info("task finished", {
        ...shown(end),
        ...(this.#refusedEntries > 0 ? { refusedEntries: this.#refusedEntries } : {}),
      });
      await this.#close(completion);
    } catch (error) {
      await this.#unreported(error, completion);
    } finally {
      this.#timers.forEach(clearTimeout);
    }
  }

  /** Leaves lines behind that are not delivered in time; the completion is sent all the same. */
  limitDrain(ms: number): void {
    this.#hurried = true;
    this.#uploader.hurry();
    this.#in(ms, () => {
      this.#uploader.stop();
      this.#drainOver.abort();
    });
  }

  /** Tries nothing again after this time; what is not delivered by then is kept for the next start. */
  giveUpIn(ms: number): void {
    this.#uploader.hurry();
    this.#in(ms, () => this.#giveUp.abort());
  }

  /** Tries nothing again; what is not delivered is kept for the next start. */
  giveUp(): void {
    this.#giveUp.abort();
  }

  /** Tells nothing more: the control plane has ended the task by itself. */
  taskIsGone(): void {
    this.#gone = true;
    this.#giveUp.abort();
  }

  #in(ms: number, act: () => void): void {
    this.#timers.add(setTimeout(act, ms));
  }

  /** In the place of an entry that is refused for good comes a word about it. */
  async #send(entry: LogEntry): Promise<boolean> {
    const refusal = await this.#try(entry);
    if (typeof refusal === "boolean") return refusal;
    if (this.#refusedEntries++ === 0) {
      this.#options.logger.warn("log lines are refused and left out", { error: refusal.message });
    }
    if (this.#wordless) return true;
    const lines = entry.line.split("\n").length;
    const what = lines === 1 ? "a line was" : `${lines} lines were`;
    const by = refusal.isOwn ? "the control plane" : "something before the control plane";
    const line = `[… ${what} left out: refused by ${by} (HTTP status ${refusal.status}) …]`;
    const word = await this.#try({ ...entry, stream: "system", line });
    this.#wordless = typeof word !== "boolean";
    return word !== false;
  }

  /** True once it is delivered, false if it is given up, and the refusal if that is final. */
  async #try(entry: LogEntry): Promise<boolean | RefusedError> {
    const { api, taskId } = this.#options;
    let refused = false;
    try {
      // When a cancelled task is waited for, a slow call is not to be given more time.
      const call = (patience: number) => api.log(taskId, entry, this.#hurried ? 1 : patience);
      const isFinal = (error: RefusedError) => this.#patience.isFinal(error);
      await report("log", call, { ...this.#how(this.#stopSending), isFinal });
      return true;
    } catch (error) {
      if (error instanceof GivenUpError) return false;
      if (!(error instanceof RefusedError)) throw error;
      if (error.status === 409 && await this.#hasEnded()) return false;
      refused = true;
      return error;
    } finally {
      this.#patience.next(refused);
    }
  }

  #how(giveUp: AbortSignal): ReportOptions {
    const { api: { reachability }, logger } = this.#options;
    return { giveUp, logger, reachability };
  }

  /** A control plane that answers for the task accepts the credentials, and can be reached. */
  async #isServed(): Promise<boolean> {
    const { api, taskId } = this.#options;
    return await api.control(taskId).then(() => true, () => false);
  }

  /** Entries are refused when the task does not run any more: no need to wait for the next look. */
  async #hasEnded(): Promise<boolean> {
    const { api, taskId, onCause } = this.#options;
    const control = await api.control(taskId).catch(() => undefined);
    const cause = control && causeOf(control);
    if (cause) onCause(cause);
    return cause?.kind === "ended on the control plane";
  }

  async #unreported(error: unknown, completion: Completion): Promise<void> {
    const { logger } = this.#options;
    if (this.#gone) {
      await this.#close({ ...completion, status: "failed" });
    } else if (error instanceof GivenUpError) {
      logger.warn("task end is kept for the next start", { error: messageOf(error) });
      await this.#spool[Symbol.asyncDispose]();
    } else {
      logger.error("control plane refuses the end of the task", { error: messageOf(error) });
      await this.#close(completion);
    }
  }

  async #close(completion: Completion): Promise<void> {
    await this.#spool.discard();
    await this.#options.journal.close(this.#options.taskId, completion);
  }
}

/** Operators must not take what they see for all there was. */
function withoutLastLines(completion: Completion): Completion {
  const { error } = completion;
  return { ...completion, error: `${error ? `${error}; ` : ""}its last lines were not delivered` };
}

function shown({ status, exitCode, error, durationMs }: Completion) {
  return { status, exitCode, error, durationMs };
}
