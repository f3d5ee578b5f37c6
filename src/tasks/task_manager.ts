import { RefusedError } from "../control_plane/errors.ts";
import type { Completion, Task } from "../control_plane/schemas.ts";
import type { Usage } from "../hosts/host.ts";
import { bootTime, msSince } from "../system/boot_time.ts";
import { settlesWithin } from "../system/deadline.ts";
import { messageOf } from "../system/user_error.ts";
import type { Unfinished } from "./journal.ts";
import type { EndCause } from "./task_end.ts";
import type { TaskRecord } from "./task_record.ts";
import { GivenUpError, TaskReporter } from "./task_reporter.ts";
import { TaskRunner, type TaskRunnerDeps } from "./task_runner.ts";

/** How long a claim holds without a start (contract: Tasks over HTTP). */
const LEASE_MS = 60_000;

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
  #isLeft = false;

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

  /** What the tasks that run have used so far, by their ids; those that nobody counts are left out. */
  async usage(): Promise<Map<string, Usage>> {
    const runs = Array.from(this.#runs, async ([id, run]) => [id, await run.usage()] as const);
    const all = await Promise.all(runs);
    return new Map(all.flatMap(([id, usage]) => usage ? [[id, usage]] : []));
  }

  /** Whether a task is run or reported here; any may be the next agent's once they are left to it. */
  has(taskId: string): boolean {
    return this.#isLeft || this.#work.has(taskId);
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
      logger.info("task was received again while it is running", { taskId: task.id });
      return false;
    }
    const ended = journal.ended.get(task.id);
    if (ended) {
      logger.info("task was received again after its end", { taskId: task.id });
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
      const hasBegun = record.process ?? record.started ?? record.outcome;
      const isStale = !hasBegun && !isPromised(record);
      if (isStale) this.#track(id, () => this.#reportStale(id));
      else this.#start(record);
    }
    for (const { taskId, setAside } of damaged) {
      const task = { id: taskId, type: "unknown", payload: {} };
      const record = { version: 1 as const, task, claimedAt: new Date().toISOString() };
      this.#start(record, `, and its journal was damaged (kept as ${setAside})`);
    }
  }

  /** Ends all tasks for one cause and hurries those that are being reported. */
  endAll(cause: EndCause): void {
    this.#giveUp.abort();
    for (const run of this.#runs.values()) run.end(cause);
  }

  /**
   * Leaves all tasks to the next agent, which is to come soon; those whose work cannot go on without
   * this one are ended when they have had `graceMs`. Resolves when no more can be done for any.
   */
  async leaveAll(graceMs: number): Promise<void> {
    this.#isLeft = true;
    this.#giveUp.abort();
    const stay = [...this.#runs.values()].filter((run) => run.leave());
    if (stay.length === 0 || await settlesWithin(this.idle(), graceMs)) return;
    // Some may have got a program meanwhile that goes on.
    for (const run of stay) if (run.leave()) run.end({ kind: "stopping" });
  }

  /** Kills all processes at once; the next start reports their tasks. */
  killAllNow(): void {
    for (const run of this.#runs.values()) run.killNow();
  }

  /** Resolves when no task is left to be run or reported. */
  async idle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work.values());
  }

  /** Keeps the run within reach of {@linkcode TaskManager.endAll} while its work goes on. */
  #start(record: TaskRecord, damage?: string): void {
    const { id } = record.task;
    const run = new TaskRunner(this.#deps, record, damage);
    this.#runs.set(id, run);
    this.#deps.onTaken?.();
    this.#track(id, () => run.run().finally(() => this.#runs.delete(id)));
  }

  #track(taskId: string, work: () => Promise<void>): void {
    const { logger } = this.#deps;
    const done = work()
      .catch((error) => {
        const fields = { taskId, error: messageOf(error) };
        if (error instanceof RefusedError) logger.info("task is no longer wanted", fields);
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

  /** A task that was promised long ago and never run is not wanted any more, whatever it was. */
  async #reportStale(taskId: string): Promise<void> {
    const error = "the agent was restarted before the task ran";
    const outcome: Completion = { status: "failed", error };
    const removed = this.#removePrepared(taskId);
    try {
      await this.#answerAgain(taskId, outcome);
    } catch (error) {
      // Given up: the next start tries again.
      if (error instanceof GivenUpError) throw error;
      await this.#deps.journal.forget(taskId);
      throw error;
    } finally {
      await removed;
    }
    await this.#deps.journal.forget(taskId);
  }

  /** Removes what an earlier agent has got ready for a task that is not run: its unit, its log. */
  async #removePrepared(taskId: string): Promise<void> {
    const { host, journal, logger } = this.#deps;
    const released = host.release(taskId, undefined).catch((error) => {
      logger.warn("unit of the task cannot be removed", { taskId, error: messageOf(error) });
    });
    await Promise.all([released, journal.removeLeftOutput(taskId)]);
  }

  /** A task that the control plane hands out again gets the outcome that it has missed. */
  async #answerAgain(taskId: string, outcome: Completion): Promise<void> {
    const { api, logger } = this.#deps;
    const reporter = new TaskReporter(api, taskId, logger.with({ taskId }));
    await reporter.answerAgain(outcome, this.#giveUp.signal);
  }
}

/** A promise of which nobody can say how old it is does not hold any more. */
function isPromised({ claimed }: TaskRecord): boolean {
  const ageMs = claimed && msSince(claimed);
  return ageMs !== undefined && ageMs < LEASE_MS;
}
