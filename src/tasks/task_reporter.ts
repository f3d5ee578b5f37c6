import type { AgentApi } from "../control_plane/agent_api.ts";
import {
  isTransient,
  isUnauthorized,
  RefusedError,
  TimedOutError,
} from "../control_plane/errors.ts";
import type { Reachability } from "../control_plane/reachability.ts";
import { RetryPacer } from "../control_plane/retry_pacer.ts";
import type { Completion, LogEntry } from "../control_plane/schemas.ts";
import { toLogEntry } from "../logs/log_entries.ts";
import type { TaskLog } from "../logs/task_log.ts";
import type { Logger } from "../system/logger.ts";
import { judgeAfter } from "../system/stall.ts";
import { messageOf } from "../system/user_error.ts";
import { pollCancellation } from "./cancellation_poller.ts";
import { causeOf, type EndCause } from "./task_end.ts";
import { EntryPatience } from "./entry_patience.ts";

/** How long an end that is refused is tried: after that it is not taken any more, in milliseconds. */
const REPORTABLE_MS = 30 * 60_000;
const FIRST_PAUSE_MS = 250;
/** A call that got no answer in time is given more of it, up to so many times as much. */
const MAX_PATIENCE = 3;

/**
 * Makes all calls about one task, in the contract's order: accepted, started, log entries, completed,
 * one after the other; and asks beside that whether the task is still wanted.
 */
export class TaskReporter {
  readonly #api: AgentApi;
  readonly #taskId: string;
  readonly #logger: Logger;
  readonly #giveUp = new AbortController();
  readonly #notBegun = new AbortController();
  readonly #drainOver = new AbortController();
  readonly #stopSending = AbortSignal.any([this.#giveUp.signal, this.#drainOver.signal]);
  readonly #limits = new Set<() => void>();
  readonly #patience = new EntryPatience(() => this.#isServed());
  /** Whether not even a word about refused entries is taken. */
  #wordless = false;
  #isHurried = false;
  #lookNow: () => void = () => {};
  /** How many entries were refused for good. */
  refusedEntries = 0;

  /** Nothing is told yet. */
  constructor(api: AgentApi, taskId: string, logger: Logger) {
    this.#api = api;
    this.#taskId = taskId;
    this.#logger = logger;
  }

  /** Whether nothing is tried again any more. */
  get hasGivenUp(): boolean {
    return this.#giveUp.signal.aborted;
  }

  /**
   * Accepts and starts the task, once the promise to run it is on disk.
   *
   * @throws {RefusedError} if the control plane does not want it run any more.
   * @throws {GivenUpError} after {@linkcode TaskReporter.doNotBegin}.
   */
  async begin(): Promise<void> {
    const giveUp = this.#notBegun.signal;
    await this.#call("accepted", (patience) => this.#api.accepted(this.#taskId, patience), {
      giveUp,
    });
    await this.#call("started", (patience) => this.#api.started(this.#taskId, patience), {
      giveUp,
    });
  }

  /**
   * Tells how a task has ended that the control plane has handed out again.
   *
   * @throws {GivenUpError} once `giveUp` aborts, and {@linkcode RefusedError}.
   */
  async answerAgain(completion: Completion, giveUp: AbortSignal): Promise<void> {
    await this.#call("started", (patience) => this.#api.started(this.#taskId, patience), {
      giveUp,
    });
    const completed = (patience: number) => this.#api.completed(this.#taskId, completion, patience);
    await this.#call("completed", completed, { giveUp });
  }

  /**
   * Delivers a log until its end, or until it stops; whether the control plane has all that it will
   * take. An entry that is not delivered stays in the log.
   */
  async deliver(log: TaskLog): Promise<boolean> {
    for await (const entry of log.entries()) {
      if (!await this.#send(toLogEntry(entry))) return false;
      log.delivered(entry);
    }
    return await log.isEmpty();
  }

  /**
   * Tells the end of the task.
   *
   * @throws {RefusedError} if it is refused for good.
   * @throws {GivenUpError} if it is given up.
   */
  async complete(completion: Completion): Promise<void> {
    const endMs = performance.now() + REPORTABLE_MS;
    const isFinal = async () => performance.now() >= endMs && await this.#isServed();
    const completed = (patience: number) => this.#api.completed(this.#taskId, completion, patience);
    try {
      await this.#call("completed", completed, { giveUp: this.#giveUp.signal, isFinal });
    } finally {
      this.#limits.forEach((cancel) => cancel());
    }
  }

  /** Why the task must end, if the control plane wants that; it is asked until `signal` aborts. */
  causes(signal: AbortSignal): AsyncIterable<EndCause> {
    const control = () => this.#api.control(this.#taskId, signal);
    const lookNow = () => new Promise<void>((resolve) => this.#lookNow = resolve);
    return pollCancellation(control, lookNow, signal, this.#logger);
  }

  /** Tries no more to begin; a call under way may begin the task all the same. */
  doNotBegin(): void {
    this.#notBegun.abort();
  }

  /** Leaves lines behind that are not delivered in time; the completion is sent all the same. */
  limitDrain(log: TaskLog, ms: number): void {
    this.#isHurried = true;
    log.hurry();
    this.#in(ms, () => {
      log.stop();
      this.#drainOver.abort();
    });
  }

  /** Tries nothing again after this time; what is not delivered by then is kept for the next start. */
  giveUpIn(log: TaskLog, ms: number): void {
    log.hurry();
    this.#in(ms, () => this.#giveUp.abort());
  }

  /** Tries nothing again; what is not delivered is kept for the next start. */
  giveUp(): void {
    this.#giveUp.abort();
  }

  #in(ms: number, act: () => void): void {
    this.#limits.add(judgeAfter(ms, act));
  }

  /** In the place of an entry that is refused for good comes a word about it. */
  async #send(entry: LogEntry): Promise<boolean> {
    const refusal = await this.#try(entry);
    if (typeof refusal === "boolean") return refusal;
    if (this.refusedEntries++ === 0) {
      this.#logger.warn("log lines are refused and left out", { error: refusal.message });
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
    let refused = false;
    try {
      // When a cancelled task is waited for, a slow call is not to be given more time.
      const call = (patience: number) =>
        this.#api.log(this.#taskId, entry, this.#isHurried ? 1 : patience);
      const isFinal = (error: RefusedError) => this.#patience.isFinal(error);
      await this.#call("log", call, { giveUp: this.#stopSending, isFinal });
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

  #call(
    what: ReportCall,
    call: (patience: number) => Promise<void>,
    how: Pick<ReportOptions, "giveUp" | "isFinal">,
  ): Promise<void> {
    const { reachability } = this.#api;
    return untilAnswered(what, call, { ...how, logger: this.#logger, reachability });
  }

  /** A control plane that answers for the task accepts the credentials, and can be reached. */
  async #isServed(): Promise<boolean> {
    return await this.#api.control(this.#taskId).then(() => true, () => false);
  }

  /** Entries are refused when the task does not run any more: no need to wait for the next look. */
  async #hasEnded(): Promise<boolean> {
    const control = await this.#api.control(this.#taskId).catch(() => undefined);
    const cause = control && causeOf(control);
    if (cause) this.#lookNow();
    return cause?.kind === "ended on the control plane";
  }
}

/** The calls about a task that are made until they are answered. */
export type ReportCall = "accepted" | "started" | "log" | "completed";

/** The agent stopped trying: it is leaving, or the task has ended on the control plane. */
export class GivenUpError extends Error {
  static {
    this.prototype.name = "GivenUpError";
  }
}

/** How a call about a task is made. */
export interface ReportOptions {
  /** Ends the tries. */
  giveUp: AbortSignal;
  /** The agent's log. */
  logger: Logger;
  /** Ends the pauses when others are answered. */
  reachability: Reachability;
  /** Has the last word on a refusal that would be tried again. */
  isFinal?: (refusal: RefusedError) => Promise<boolean>;
}

/**
 * Makes one call about a task until it is answered for good. Tried again are calls without an
 * answer, server faults, 429, conflicts with a queued state (the server has yet to notice its own
 * claim), and what need not be the control plane's own word: 408, redirects, and, where data would
 * be lost, 401 and 403 and all refusals that are not its own.
 *
 * `call` gets the factor by which its time limit is to be stretched: a server that handles a call
 * slower than the limit would otherwise be given the same one for ever.
 *
 * @throws {RefusedError} for every other refusal.
 * @throws {GivenUpError} once `giveUp` aborts; a call under way is seen to its end first, since
 * one that comes late can undo a later one (contract: Tasks over HTTP).
 */
export async function untilAnswered(
  what: ReportCall,
  call: (patience: number) => Promise<void>,
  { giveUp, logger, reachability, isFinal = () => Promise.resolve(false) }: ReportOptions,
): Promise<void> {
  let pacer: RetryPacer | undefined;
  let patience = 1;
  for (let tries = 1;; tries++) {
    if (giveUp.aborted) throw new GivenUpError(`${what}: given up`);
    try {
      return await call(patience);
    } catch (error) {
      if (!mayPass(what, error)) throw error;
      if (error instanceof TimedOutError) patience = Math.min(patience + 1, MAX_PATIENCE);
      if (error instanceof RefusedError && !isTransient(error) && await isFinal(error)) throw error;
      const level = tries === 2 ? "warn" : "debug";
      logger[level]("report is tried again", { report: what, tries, error: messageOf(error) });
      pacer ??= new RetryPacer({ reachability, firstMs: FIRST_PAUSE_MS });
      await pacer.failed(error, giveUp).catch(() => {});
    }
  }
}

function mayPass(what: ReportCall, error: unknown): boolean {
  if (isTransient(error)) return true;
  if (!(error instanceof RefusedError)) return false;
  // A task that is not begun comes again; what it has printed and how it ended does not.
  const keeps = what === "log" || what === "completed";
  if (isUnauthorized(error)) return keeps;
  const { status, message, isOwn } = error;
  // What somebody on the way does not like may get through by another way.
  if (keeps && !isOwn) return true;
  return status < 400 || status === 408 || (status === 409 && /queued/i.test(message));
}
