import * as z from "@zod/zod";
import type { AgentApi } from "../control_plane/agent_api.ts";
import type { Completion } from "../control_plane/schemas.ts";
import type { HostCommand, Program, Usage } from "../hosts/host.ts";
import { SecretMask } from "../logs/secret_mask.ts";
import type { TaskLog } from "../logs/task_log.ts";
import type { Privileges } from "../privileges/privileges.ts";
import type { Logger } from "../system/logger.ts";
import { bootTime, msSinceInBoot } from "../system/boot_time.ts";
import { settlesWithin } from "../system/deadline.ts";
import { judgeAfter } from "../system/stall.ts";
import { messageOf } from "../system/user_error.ts";
import { CommandOutput, startLine } from "./command_output.ts";
import { LeftTask, type LeftTaskDeps, openTaskLog } from "./left_task.ts";
import {
  completionOf,
  describeCause,
  type EndCause,
  outcomeOf,
  withOutput,
  withUsage,
} from "./task_end.ts";
import { noNote, type NoteProcess, TaskPrograms } from "./task_programs.ts";
import type { TaskRecord } from "./task_record.ts";
import { GivenUpError, TaskReporter } from "./task_reporter.ts";
import { notePath, removeNotes } from "./notes.ts";
import { secretsOf } from "./task_secrets.ts";
import {
  describeBadPayload,
  type TaskContext,
  type TaskOutcome,
  type TaskType,
  timeLimitMs,
} from "./task_type.ts";

/** How long the lines of a cancelled task may take to be delivered, in milliseconds. */
const CANCEL_DRAIN_MS = 3_000;
/** How long the lines and the end of a task may take when the agent itself stops, in milliseconds. */
const STOP_REPORT_MS = 10_000;
/** Of why a task ended no more stands in the agent's log, in UTF-16 units: it may be another's words. */
const MAX_LOGGED_UNITS = 1_000;
/** How long a task that is to end waits for the disk to take why, in milliseconds. */
const NOTE_MS = 1_000;
/** How long the last call about a task may take when the agent leaves it to the next one, in milliseconds. */
const HAND_ON_MS = 2_500;

/** What every task run shares. */
export interface TaskRunnerDeps extends LeftTaskDeps {
  /** The control plane. */
  api: AgentApi;
  /** What no task may show, whatever its type: the agent's token. */
  secrets: readonly string[];
  /** Who runs what. */
  privileges: Privileges;
  /** The limit of tasks that bring none, in milliseconds. */
  defaultLimitMs: () => number;
  /** How many tasks may be unfinished before no further one is taken; 0 for any number. */
  maxTasks: () => number;
  /** Hears that there is another task. */
  onTaken?: () => void;
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
  /** How much of its log is not delivered yet, in bytes, as a rough figure. */
  backlog: number;
}

/** What is to be done for a task. */
interface Work {
  run: ReturnType<TaskType["prepare"]>;
  limitMs: number;
}

/** Where a task is. Each state leads to the next one, and only to that; see {@linkcode TaskRunner.run}. */
type State =
  /** Promised to the control plane, and not begun. */
  | { phase: "claimed" }
  /** Its work is done: here, by a program of an earlier agent's that was taken up, or by what one has left. */
  | { phase: "running"; how: "here" | "taken up" | "left" }
  /** Its program goes on without this agent: the next one takes it up. */
  | { phase: "handed on" }
  /** It is known how it ended. */
  | { phase: "ended"; outcome: Completion }
  /** Nothing is left to be done for it by this agent. */
  | { phase: "reported" };

/** One task from its claim to the control plane's knowing its end. */
export class TaskRunner {
  readonly #deps: TaskRunnerDeps;
  readonly #record: TaskRecord;
  readonly #logger: Logger;
  readonly #reporter: TaskReporter;
  readonly #end = new AbortController();
  readonly #mask: SecretMask;
  readonly #left: LeftTask;
  readonly #programs: TaskPrograms;
  #state: State;
  /** Why it has to end before its time; the first cause wins. */
  #cause: EndCause | undefined;
  /** Resolves when that is written down. */
  #causeNoted: Promise<void> = Promise.resolve();
  /** Whether the control plane has ended it by itself, and wants to hear nothing more. */
  #isGone = false;
  #log: TaskLog | undefined;
  /** What is to be done, of a task that is prepared while it begins, and how it comes out. */
  #work: Work | undefined;
  #outcome: Promise<TaskOutcome> | undefined;
  #endLimit: () => void = () => {};
  #delivering: Promise<boolean> | undefined;
  /** The program that does its work, while one does. */
  #program: Program | undefined;
  readonly #handedOn = Promise.withResolvers<State>();
  /** Whether the next agent is to come while it begins, or is taken up, here. */
  #isLeaving = false;
  /** Whether something is kept for a later agent. */
  #hasNotes: boolean;
  /** What must not run beside what an earlier agent has left waits behind it. */
  readonly #others: Disposable | undefined;

  /**
   * Begins where the record is: it may be an earlier agent's. `damage` is what became of that one's
   * record, which is known by the task's id alone then.
   */
  constructor(deps: TaskRunnerDeps, record: TaskRecord, damage?: string) {
    this.#deps = deps;
    this.#record = record;
    this.#hasNotes = record.process !== undefined;
    const { id: taskId, payload } = record.task;
    this.#logger = deps.logger.with({ taskId });
    this.#mask = new SecretMask([...deps.secrets, ...secretsOf(payload)]);
    this.#reporter = new TaskReporter(deps.api, taskId, this.#logger);
    this.#left = new LeftTask({ deps, record, damage, mask: this.#mask, logger: this.#logger });
    const { host, journal } = deps;
    const onBegun = (program: Program) => this.#follow(program);
    this.#programs = new TaskPrograms({ host, journal, record, onBegun });
    this.#state = record.outcome
      ? { phase: "ended", outcome: record.outcome }
      : record.process || damage !== undefined
      ? { phase: "running", how: "left" }
      : { phase: "claimed" };
    if (!this.#isLeft) return;
    this.#others = deps.types.get(record.task.type)?.keepOthersBack?.();
    this.#cause = record.cause;
    // What the earlier agent has begun to end is ended.
    if (record.cause) this.#end.abort(record.cause);
  }

  /** What can be seen of it from outside. */
  get now(): RunSnapshot {
    const { task: { id, type }, claimedAt } = this.#record;
    const { phase } = this.#state;
    const reporting = phase === "ended" || phase === "reported" || this.#isLeft;
    return { id, type, since: claimedAt, reporting, backlog: this.#log?.undelivered ?? 0 };
  }

  /** What its work has used so far; undefined where nobody counts. */
  async usage(): Promise<Usage | undefined> {
    return await this.#program?.usage?.().catch(() => undefined);
  }

  /** Brings the task to its end, and resolves when nothing is left to be done for it now. */
  async run(): Promise<void> {
    using _file = this.#deps.journal.holding(this.#record.task.id);
    using _others = this.#others;
    if (this.#state.phase === "claimed") {
      const next = await this.#begin();
      const isTooLate = this.#isLeaving && next.phase === "running";
      this.#state = isTooLate ? await this.#giveBack() : next;
    }
    if (this.#state.phase === "reported") return;
    const isNew = this.#state.phase === "running" && !this.#isLeft;
    const log = this.#log ??= isNew ? this.#newLog() : await this.#left.openLog();
    const program = this.#isLeft ? await this.#takeUp(log) : undefined;
    if (program && this.#isLeaving) this.leave();
    // What is not begun is begun by the next agent.
    else if (this.#isLeaving && !this.#isLeft) this.#state = { phase: "handed on" };
    const watch = new AbortController();
    const watching = this.#watch(watch.signal);
    try {
      for (;;) {
        const state: State = this.#state;
        switch (state.phase) {
          case "running":
            this.#state = await Promise.race([
              (state.how === "left" ? this.#endLeft(log) : this.#execute(log, program)).then(
                (outcome) => ({ phase: "ended" as const, outcome }),
              ),
              this.#handedOn.promise,
            ]);
            if (this.#state.phase === "ended") this.#others?.[Symbol.dispose]();
            break;
          case "handed on":
            return await this.#handOn(log);
          case "ended":
            await this.#report(log, state.outcome);
            this.#state = { phase: "reported" };
            break;
          case "claimed":
          case "reported":
            return;
          default:
            state satisfies never;
        }
      }
    } finally {
      watch.abort();
      await watching;
    }
  }

  /** Makes the task end; only the first cause counts. A task that is being reported is hurried. */
  end(cause: EndCause): void {
    const isGone = cause.kind === "ended on the control plane";
    if (isGone) {
      this.#isGone = true;
      this.#reporter.giveUp();
    }
    switch (this.#state.phase) {
      case "claimed":
        this.#cause ??= cause;
        this.#end.abort(cause);
        return this.#reporter.doNotBegin();
      case "running":
        if (this.#cause && cause.kind === "stopping") this.#giveUpSoon();
        if (this.#cause) return;
        this.#cause = cause;
        this.#causeNoted = this.#noteCause(cause);
        if (this.#state.how !== "left") {
          const shown = this.#mask.apply(describeCause(cause));
          this.#logger.info("task is ended", { cause: logged(shown) });
          if (!isGone) {
            this.#log?.write("system", `[${describeCause(cause)}]\n`).catch((error) =>
              this.#logger.warn("the log of a task takes no line", { error: messageOf(error) })
            );
          }
        }
        void this.#endSoon(cause);
        return;
      case "ended":
        if (cause.kind !== "cancelled") return this.#reporter.giveUp();
        // A task that was cancelled before has its limit, which begins when its end is on disk.
        if (this.#cause?.kind !== "cancelled") this.#limitDrain();
        return;
      case "handed on":
      case "reported":
        return;
      default:
        this.#state satisfies never;
    }
  }

  /**
   * Leaves the task to the next agent, which is to come soon: a program that can run on does, and an
   * end is reported if that takes no time. Whether its work here has to be ended for that.
   */
  leave(): boolean {
    switch (this.#state.phase) {
      case "claimed":
        this.#reporter.doNotBegin();
        return this.#leavesLater();
      case "running":
        if (this.#state.how === "left") return this.#leavesLater();
        if (this.#mayBeginAnew) return this.#handBack();
        if (!this.#mayBeTakenUp) return true;
        this.#program?.leave?.();
        this.#handedOn.resolve({ phase: "handed on" });
        return false;
      default:
        if (this.#log) this.#reporter.giveUpIn(this.#log, HAND_ON_MS);
        return false;
    }
  }

  /** Kills the processes without a word; the next start of the agent reports them. */
  killNow(): void {
    const { process, task } = this.#record;
    if (this.#state.phase === "running" && !this.#isLeft && process) {
      this.#deps.host.killNow(task.id, process);
    }
  }

  /** Whether the next agent can go on with it: one in a unit is found again, begun or not. */
  get #mayBeTakenUp(): boolean {
    const { process, task: { type } } = this.#record;
    return process?.unit !== undefined && !!this.#deps.types.get(type)?.mayBeTakenUp;
  }

  /** Whether nothing has happened yet that the next agent must know of. */
  get #mayBeginAnew(): boolean {
    const { process, task: { type } } = this.#record;
    return process === undefined && !!this.#deps.types.get(type)?.mayBeginAnew;
  }

  /** Leaves it as soon as it is taken up, or the control plane has said that it runs. */
  #leavesLater(): false {
    this.#isLeaving = true;
    return false;
  }

  /** Ends its looks, and has the next agent begin it once more. */
  #handBack(): false {
    this.#programs.handBack();
    this.#end.abort(new Error("the next agent begins it"));
    this.#handedOn.resolve({ phase: "handed on" });
    return false;
  }

  /** Whether it runs, but not by this agent. */
  get #isLeft(): boolean {
    return this.#state.phase === "running" && this.#state.how === "left";
  }

  /**
   * Tells the control plane that the task runs now; it is not to be run if that is refused. What can
   * be got ready meanwhile is.
   */
  async #begin(): Promise<State> {
    const { journal, types } = this.#deps;
    const { id, type } = this.#record.task;
    // An earlier agent may have begun, and died before it wrote down what runs.
    const removed = journal.removeLeftOutput(id);
    const written = Promise.withResolvers<void>();
    const promised = this.#writeDown(this.#record, written.resolve);
    // The start of a child holds up all else for a moment: the disk is to have its work before.
    await Promise.all([removed, Promise.race([written.promise, promised])]);
    if (types.get(type)?.isGated) this.#prepareAhead(promised);
    await (await promised).lasting;
    try {
      await this.#reporter.begin();
      this.#logger.info("task started", { type });
      await this.#noteStarted();
      return { phase: "running", how: "here" };
    } catch (error) {
      await this.#undo(error);
      // Given up: the next start tries again, unless the server has by then.
      if (error instanceof GivenUpError) return { phase: "reported" };
      this.#logger.warn("task is not run", { type, error: messageOf(error) });
      await journal.forget(id);
      return { phase: "reported" };
    }
  }

  /** Has the next agent know that it may still begin, however long it waits for its turn here. */
  async #noteStarted(): Promise<void> {
    const { mayBeginAnew, isGated } = this.#deps.types.get(this.#record.task.type) ?? {};
    // What is gated runs at once.
    if (!mayBeginAnew || isGated) return;
    this.#record.started = bootTime();
    await this.#writeDown(this.#record);
  }

  /** Has the next agent begin what the control plane has been told of while this one leaves. */
  async #giveBack(): Promise<State> {
    await this.#undo(new Error("the next agent begins it"));
    await this.#deps.journal.rewrite(this.#anew());
    this.#logger.info("task begins anew with the next agent");
    return { phase: "reported" };
  }

  /** What the next agent is to begin with: it is not stale, however long it has waited here. */
  #anew(): TaskRecord {
    return { ...this.#record, claimed: bootTime() };
  }

  /** Resolves when a kill of the agent cannot undo it any more, and `lasting` when no loss of power can. */
  async #writeDown(
    record: TaskRecord,
    onWaiting?: () => void,
  ): Promise<{ lasting: Promise<void> }> {
    const staged = await this.#deps.journal.stage(record, onWaiting);
    return { lasting: await staged.commit() ? staged.sync() : Promise.resolve() };
  }

  /** Does the work up to the gate of its first program; its record comes behind the one `before`. */
  #prepareAhead(before: Promise<unknown>): void {
    try {
      this.#work = this.#prepare();
    } catch {
      // It is met again, and told, when the task runs.
      return;
    }
    const log = this.#log = this.#newLog();
    const note: NoteProcess = (group) => before.then(() => this.#programs.note(group));
    this.#outcome = this.#work.run(this.#context(log, note));
    this.#outcome.catch(() => {});
  }

  /** Ends what was got ready for a task that is not to run. */
  async #undo(reason: unknown): Promise<void> {
    this.#end.abort(reason);
    this.#programs.refuse(reason);
    await this.#outcome?.catch(() => {});
    await this.#log?.discard();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    for await (const cause of this.#reporter.causes(signal)) this.end(cause);
  }

  #newLog(): TaskLog {
    return openTaskLog(this.#deps, this.#record.task.id, this.#mask);
  }

  /** Goes on with the program that an earlier agent has left running, if there is one. */
  async #takeUp(log: TaskLog): Promise<Program | undefined> {
    if (!this.#mayBeTakenUp) return undefined;
    const found = await this.#left.findProgram(log, this.#end.signal, () => this.#leaving(log));
    if (found === "gone") return undefined;
    this.#state = { phase: "running", how: found === "not begun" ? "here" : "taken up" };
    // It waits for its own turn.
    if (found === "not begun") return void this.#others?.[Symbol.dispose]();
    this.#logger.info("task is taken up", { type: this.#record.task.type });
    return this.#program = found;
  }

  async #endLeft(log: TaskLog): Promise<Completion> {
    const cause = this.#cause;
    const end = await this.#left.end(() => {
      this.#programs.begin();
      return this.#context(log, noNote);
    });
    if (!cause) return end;
    const { status, error } = outcomeOf(cause, { status: end.status });
    return { ...end, status, error: `${error}; ${end.error}` };
  }

  /** How the program of an earlier agent's is asked to leave. */
  async #leaving(log: TaskLog): Promise<HostCommand["askFirst"]> {
    this.#programs.begin();
    const type = this.#deps.types.get(this.#record.task.type);
    return await type?.askFirst?.(this.#context(log, noNote));
  }

  /** What is to be done, and how long it may take. */
  #prepare(): Work {
    const { task } = this.#record;
    const type = this.#deps.types.get(task.type);
    if (!type) throw new Error(`unsupported task type: ${task.type}`);
    const run = type.prepare(task.payload);
    return { run, limitMs: timeLimitMs(task, this.#deps.defaultLimitMs()) };
  }

  /** Does the work, while its log is delivered. */
  async #execute(log: TaskLog, takenUp: Program | undefined): Promise<Completion> {
    this.#deliver(log);
    const { started } = this.#record;
    // What runs was not started before a boot.
    const elapsedMs = takenUp && started ? msSinceInBoot(started) : 0;
    const startedMs = performance.now() - elapsedMs;
    let outcome: TaskOutcome;
    try {
      // A program that waits at its gate looks itself, and the end of one that goes on is waited for.
      if (!this.#outcome && !takenUp) this.#end.signal.throwIfAborted();
      const { run, limitMs } = this.#work ?? this.#prepare();
      // What has ended while there was no agent kept to a limit that has passed since.
      const leftMs = takenUp?.hadEnded ? limitMs : Math.max(0, limitMs - elapsedMs);
      this.#endLimit = judgeAfter(leftMs, () => this.end({ kind: "time limit", limitMs }));
      this.#programs.begin();
      if (takenUp) this.#watchBound(takenUp);
      outcome = await (this.#outcome ??
        run({ ...this.#context(log), ...takenUp ? { takenUp } : {} }));
    } catch (error) {
      const sentence = error instanceof z.ZodError ? describeBadPayload(error) : messageOf(error);
      outcome = { status: "failed", error: sentence };
      // Nobody waits for its program any more.
      this.#end.abort(error);
    } finally {
      this.#endLimit();
    }
    if (this.#cause) outcome = outcomeOf(this.#cause, outcome);
    const tookMs = performance.now() - startedMs;
    outcome = await withUsage(outcome, tookMs, log, this.#program);
    return completionOf(outcome, tookMs, this.#mask);
  }

  #context(
    log: TaskLog,
    note: NoteProcess = (group) => this.#programs.note(group),
  ): TaskContext {
    const { id: taskId, type } = this.#record.task;
    const description = `Noderax task ${type} ${taskId}`;
    return {
      taskId,
      privileges: this.#deps.privileges,
      signal: this.#end.signal,
      begun: this.#programs.begun,
      mask: this.#mask,
      endTimeLimit: () => this.#endLimit(),
      start: (command) => {
        const store = command.isKept ? log.store : undefined;
        return this.#programs.start(command, description, store, note);
      },
      async keep(output) {
        const seen = new CommandOutput(startLine(taskId));
        for await (const chunk of output) {
          // The log leaves the line out wherever it is; alone, as a rule, it needs no file.
          const isStart = seen.see(chunk);
          if (!chunk.isKept && !isStart) await log.append(chunk.stream, chunk.bytes);
        }
        // An earlier agent may have read how it began: then that is in the log.
        return { hasBegun: seen.hasBegun || log.hasHidden, stderr: seen.stderr };
      },
      note: (name) => {
        this.#hasNotes = true;
        return notePath(this.#deps.journal.spoolPrefix(taskId), name);
      },
      onLines: (stream, lines) => log.write(stream, lines),
    };
  }

  /** A program of its does the work from now on. */
  #follow(program: Program): void {
    this.#program = program;
    this.#watchBound(program);
    if (this.#state.phase === "handed on") program.leave?.();
  }

  /** Asks the program to end: at once, or when the next agent would know why. */
  async #endSoon(cause: EndCause): Promise<void> {
    // The host has ended one that met a bound. A disk that does not answer holds nothing up for long.
    const isNoted = this.#record.cause === cause && cause.kind !== "bound";
    if (isNoted) await settlesWithin(this.#causeNoted, NOTE_MS);
    if (this.#state.phase === "running") this.#end.abort(cause);
  }

  /** Has the next agent know it, should this one die before the program has ended. */
  async #noteCause(cause: EndCause): Promise<void> {
    // The next agent is in no hurry as one that stops is.
    if (!this.#record.process || this.#isGone || cause.kind === "stopping") return;
    this.#record.cause = cause;
    await this.#deps.journal.noteCause(this.#record);
  }

  /** A program that meets a bound of its host ends with the task. */
  #watchBound({ bounded }: Program): void {
    void bounded?.then((bound) => this.end({ kind: "bound", bound }));
  }

  /** Lets go of a task whose program goes on; what is being told is told to its end, for some time. */
  async #handOn(log: TaskLog): Promise<void> {
    this.#reporter.giveUp();
    const anew = this.#anew();
    await this.#causeNoted;
    if (this.#programs.isHandedBack) await this.#deps.journal.rewrite(anew);
    log.stop();
    await settlesWithin(this.#deliver(log), HAND_ON_MS);
    await log.close();
    this.#logger.info(
      this.#programs.isHandedBack
        ? "task begins anew with the next agent"
        : "task goes on without the agent",
    );
  }

  #deliver(log: TaskLog): Promise<boolean> {
    return this.#delivering ??= this.#reporter.deliver(log).catch((error) => {
      this.#logger.error("log delivery failed", { error: messageOf(error) });
      return false;
    });
  }

  /** Delivers what is left of the log, then the completion, and closes the journal. */
  async #report(log: TaskLog, outcome: Completion): Promise<void> {
    this.#deps.onEnded?.(outcome.status);
    let written: Promise<{ lasting?: Promise<void> }> = Promise.resolve({});
    if (this.#cause?.kind !== "ended on the control plane") {
      this.#record.outcome = outcome;
      // A line at a time: how it ended comes last.
      written = this.#causeNoted.then(() => this.#writeDown(this.#record));
    }
    const released = written.then(() => this.#release());
    // Its last lines do not wait for that, but the limits of those that have one begin behind it.
    if (this.#cause) await written;
    if (this.#cause?.kind === "cancelled") this.#limitDrain();
    if (this.#cause?.kind === "stopping") this.#giveUpSoon();
    log.end();
    const isWhole = await this.#deliver(log);
    const { lasting } = await written;
    try {
      const completion = this.#reporter.hasGivenUp
        ? outcome
        : await withOutput(outcome, log, isWhole);
      await lasting;
      await this.#reporter.complete(completion);
      const { status, exitCode, error, durationMs } = completion;
      const { refusedEntries } = this.#reporter;
      this.#logger.info("task finished", {
        ...{ status, exitCode, error: error && logged(error), durationMs },
        ...(refusedEntries > 0 ? { refusedEntries } : {}),
      });
      await this.#close(log, outcome);
    } catch (error) {
      await this.#unreported(log, error, outcome);
    }
    await released;
  }

  /** From here on nobody needs what the host keeps of the program. */
  async #release(): Promise<void> {
    const { task: { id }, process } = this.#record;
    await this.#deps.host.release(id, process).catch((error) => {
      this.#logger.warn("unit of the task cannot be removed", { error: messageOf(error) });
    });
  }

  async #unreported(log: TaskLog, error: unknown, outcome: Completion): Promise<void> {
    if (this.#isGone) {
      await this.#close(log, { ...outcome, status: "failed" });
    } else if (error instanceof GivenUpError) {
      this.#logger.warn("task end is saved for the next start", { error: messageOf(error) });
      await log.close();
    } else {
      this.#logger.error("control plane refuses the end of the task", { error: messageOf(error) });
      await this.#close(log, outcome);
    }
  }

  async #close(log: TaskLog, outcome: Completion): Promise<void> {
    await log.discard();
    const { journal } = this.#deps;
    const { id } = this.#record.task;
    if (this.#hasNotes) await removeNotes(journal.spoolPrefix(id));
    await journal.close(id, outcome);
  }

  #limitDrain(): void {
    if (this.#log) this.#reporter.limitDrain(this.#log, CANCEL_DRAIN_MS);
  }

  #giveUpSoon(): void {
    if (this.#log) this.#reporter.giveUpIn(this.#log, STOP_REPORT_MS);
  }
}

function logged(text: string): string {
  return text.slice(0, MAX_LOGGED_UNITS).toWellFormed();
}
