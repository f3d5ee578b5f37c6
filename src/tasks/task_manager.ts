import { RefusedError } from "../control_plane/errors.ts";
import type { Completion, Task } from "../control_plane/schemas.ts";
import { OutputSummary } from "../logs/output_summary.ts";
import { Spool } from "../logs/spool.ts";
import { awaitTaskProcesses, endTaskProcesses } from "../hosts/end_processes.ts";
import { SecretMask } from "../logs/secret_mask.ts";
import { bootTime, msSince } from "../system/boot_time.ts";
import { messageOf } from "../system/user_error.ts";
import type { EndCause } from "./end_cause.ts";
import type { DamagedRecord, TaskRecord, Unfinished } from "./journal.ts";
import { GivenUpError, report } from "./report.ts";
import { TaskRunner, type TaskRunnerDeps } from "./task_runner.ts";

/** How long a claim holds without a start (contract: Tasks over HTTP). */
const LEASE_MS = 60_000;
const DAMAGED = "[the agent's state was damaged: lines may be missing here, or be there twice]\n";
const RESTARTED = "the agent was restarted while the task ran";

/** All tasks of the agent as they are now. */
export interface TasksSnapshot {
  /** Those that are not at their end, with the time of their claim in RFC 3339. */
  running: { id: string; type: string; since: string }[];
  /** How many are, but have to be reported. */
  reporting: number;
  /** Output that is not delivered yet, in UTF-16 units: about as many bytes. */
  backlogBytes: number;
}

/** All tasks of this agent: those it runs, those it still has to report, and those that come again. */
export class TaskManager {
  readonly #deps: TaskRunnerDeps;
  readonly #runs = new Map<string, TaskRunner>();
  readonly #work = new Map<string, Promise<void>>();
  /** Tasks that were pushed and wait for a place. */
  readonly #pushed = new Map<string, Task>();
  readonly #giveUp = new AbortController();

  /** Nothing runs before a task is taken. */
  constructor(deps: TaskRunnerDeps) {
    this.#deps = deps;
  }

  /** How many tasks are not done yet. */
  get count(): number {
    return this.#work.size;
  }

  /** What can be seen of the tasks from outside: those that run, and how much waits. */
  get now(): TasksSnapshot {
    const runs = Array.from(this.#runs.values(), (run) => run.now);
    const running = runs.filter(({ reporting }) => !reporting);
    return {
      running: running.map(({ id, type, since }) => ({ id, type, since })),
      reporting: this.count - running.length,
      backlogBytes: runs.reduce((sum, { backlog }) => sum + backlog, 0),
    };
  }

  /** Whether a task is run or reported. */
  has(taskId: string): boolean {
    return this.#work.has(taskId);
  }

  /** Whether as many tasks are unfinished as there may be. */
  get full(): boolean {
    const max = this.#deps.maxTasks();
    return max > 0 && this.count >= max;
  }

  /** Runs a task that was claimed; false for one that is running, or has ended, here already. */
  take(task: Task): boolean {
    const { journal, logger } = this.#deps;
    if (this.#work.has(task.id)) {
      logger.info("task came again while it is running", { taskId: task.id });
      return false;
    }
    const ended = journal.ended.get(task.id);
    if (ended) {
      logger.info("task came again after it has ended here", { taskId: task.id });
      this.#track(task.id, () => this.#answerAgain(task.id, ended));
      return false;
    }
    const claimedAt = new Date().toISOString();
    this.#start({ version: 1, task, claimedAt, claimed: bootTime() });
    return true;
  }

  /**
   * Takes a task that was pushed, as soon as fewer are unfinished than may be: claims need not hand
   * it out. The control plane is told nothing of it before, and gives it up if that takes too long.
   */
  takePushed(task: Task): void {
    const mayRun = !this.full || this.#work.has(task.id);
    if (mayRun) return void this.take(task);
    this.#deps.logger.info("pushed task waits for another to end", { taskId: task.id });
    this.#pushed.set(task.id, task);
  }

  /** Takes none of the pushed tasks that wait: the agent is to stop. */
  dropPushed(): void {
    this.#pushed.clear();
  }

  /** Takes up what an earlier run of the agent left. */
  recover({ records, damaged }: Unfinished): void {
    for (const record of records) {
      const { task: { id } } = record;
      if (record.process || record.outcome) {
        this.#track(id, () => this.#reportRecovered(record));
      } else if (isPromised(record)) {
        this.#start(record);
      } else {
        this.#track(id, () => this.#reportStale(id));
      }
    }
    for (const each of damaged) this.#track(each.taskId, () => this.#reportDamaged(each));
  }

  /** Ends all tasks for one cause and hurries those that are being reported. */
  endAll(cause: EndCause): void {
    this.#giveUp.abort();
    for (const run of this.#runs.values()) run.end(cause);
  }

  /** Kills all processes at once; the next start reports their tasks. */
  killAllNow(): void {
    for (const run of this.#runs.values()) run.killNow();
  }

  /** Resolves when no task is left to be run or reported. */
  async idle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work.values());
  }

  #start(record: TaskRecord): void {
    const run = new TaskRunner(this.#deps, record);
    this.#track(record.task.id, () => this.#hold(record.task.id, run, run.run()));
  }

  /** Keeps a run within reach of {@linkcode TaskManager.endAll} while its work goes on. */
  async #hold(taskId: string, run: TaskRunner, work: Promise<void>): Promise<void> {
    this.#runs.set(taskId, run);
    await work.finally(() => this.#runs.delete(taskId));
  }

  #track(taskId: string, work: () => Promise<void>): void {
    const { logger } = this.#deps;
    const done = work()
      .catch((error) => {
        const fields = { taskId, error: messageOf(error) };
        if (error instanceof RefusedError) logger.info("task is not wanted any more", fields);
        else if (error instanceof GivenUpError) logger.info("task is left for later", fields);
        else logger.error("task could not be handled", fields);
      })
      .finally(() => {
        this.#work.delete(taskId);
        for (const [id, pushed] of this.#pushed) {
          if (this.full) return;
          this.#pushed.delete(id);
          this.take(pushed);
        }
      });
    this.#work.set(taskId, done);
  }

  async #reportRecovered(record: TaskRecord, error = RESTARTED): Promise<void> {
    const { journal, logger } = this.#deps;
    const { id } = record.task;
    const output = new OutputSummary();
    let damaged = false;
    const spool = await Spool.recover(journal.spoolPrefix(id), {
      memory: this.#deps.logMemory,
      onDiskError: (error) => journal.diskFailed(error),
      onBatch: ({ stream, text }) => output.push(stream, text),
      onDamaged: async (path) => {
        damaged = true;
        await journal.keepDamaged(path);
      },
    });
    if (damaged) await spool.push("system", DAMAGED, Date.now());
    let { outcome } = record;
    if (!outcome) {
      logger.warn("task was running when the agent ended", { taskId: id });
      const { orphanMs = 0 } = this.#deps.types.get(record.task.type) ?? {};
      if (orphanMs > 0) await awaitTaskProcesses(id, record.process, orphanMs);
      await endTaskProcesses(id, record.process);
      const aftermath = await this.#aftermath(record, spool);
      outcome = failed(aftermath ? `${error}; ${aftermath}` : error, output.toString());
    }
    const run = new TaskRunner(this.#deps, record, spool);
    await this.#hold(id, run, run.deliver(outcome));
  }

  /** What an orphan's task type says has to be mended; a look that fails holds no report up. */
  async #aftermath({ task }: TaskRecord, spool: Spool): Promise<string | undefined> {
    const { logger, privileges, secrets, types } = this.#deps;
    try {
      return await types.get(task.type)?.afterOrphan?.({
        taskId: task.id,
        privileges,
        signal: this.#giveUp.signal,
        mask: new SecretMask(secrets),
        onSpawn: () => Promise.resolve(),
        onLines: (stream, lines) => spool.push(stream, lines, Date.now()),
      });
    } catch (error) {
      const fields = { taskId: task.id, error: messageOf(error) };
      logger.warn("what the task has left could not be looked at", fields);
      return undefined;
    }
  }

  /** A task that was promised long ago and never run is not wanted any more, whatever it was. */
  async #reportStale(taskId: string): Promise<void> {
    const outcome = failed("the agent was restarted before the task ran");
    try {
      await this.#answerAgain(taskId, outcome);
    } catch (error) {
      // Given up: the next start tries again.
      if (error instanceof GivenUpError) throw error;
      await this.#deps.journal.forget(taskId);
      throw error;
    }
    await this.#deps.journal.forget(taskId);
  }

  #reportDamaged({ taskId, setAside }: DamagedRecord): Promise<void> {
    const task = { id: taskId, type: "unknown", payload: {} };
    const error = `${RESTARTED}, and its journal was damaged (kept as ${setAside})`;
    return this.#reportRecovered({ version: 1, task, claimedAt: new Date().toISOString() }, error);
  }

  /** A task that the control plane hands out again gets the outcome that it has missed. */
  async #answerAgain(taskId: string, outcome: Completion): Promise<void> {
    const { api, logger } = this.#deps;
    const how = { giveUp: this.#giveUp.signal, logger, reachability: api.reachability };
    const started = (patience: number) => api.started(taskId, patience);
    const completed = (patience: number) => api.completed(taskId, outcome, patience);
    await report("started", started, how);
    await report("completed", completed, how);
  }
}

/** A promise of which nobody can say how old it is does not hold any more. */
function isPromised({ claimed }: TaskRecord): boolean {
  const ageMs = claimed && msSince(claimed);
  return ageMs !== undefined && ageMs < LEASE_MS;
}

function failed(error: string, output = ""): Completion {
  return { status: "failed", error, ...(output === "" ? {} : { output }) };
}
