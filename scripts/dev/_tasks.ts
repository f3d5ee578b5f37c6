import { HttpError, internalError } from "./_http_error.ts";
import { nowMs } from "./_ledger.ts";
import type { ControlPlaneOptions } from "./_options.ts";
import { type CompletedBody, STORED_OUTPUT_UNITS, unstorable, unstorableInside } from "./_rules.ts";
import { hasEnded, type NewTask, type Task, type TaskLog, type TaskStatus } from "./_task.ts";

/** A claim that is held; one whose caller has hung up is still served, to nobody. */
interface HeldClaim {
  readonly nodeId: string;
  callerThere: boolean;
  give(task: Task | undefined): void;
}

/** The tasks, their states and the claims that wait for them (contract, tasks over HTTP). */
export class Tasks {
  readonly #options: ControlPlaneOptions;
  readonly #changed: () => void;
  readonly #tasks = new Map<string, Task>();
  readonly #queue = new Set<Task>();
  readonly #deadlines = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #claims = new Set<HeldClaim>();
  readonly #mayClaim: (nodeId: string) => boolean;

  /** `mayClaim` says no for nodes in maintenance; `changed` is called after each change of state. */
  constructor(
    options: ControlPlaneOptions,
    mayClaim: (nodeId: string) => boolean,
    changed: () => void,
  ) {
    this.#options = options;
    this.#mayClaim = mayClaim;
    this.#changed = changed;
  }

  /** Queues a task for a node; one that is dispatched in realtime is not given to claims. */
  add(nodeId: string, spec: NewTask, dispatched = false): Task {
    const { type, payload, nodeId: _, ...extra } = spec;
    const task: Task = {
      id: crypto.randomUUID(),
      nodeId,
      type,
      payload,
      extra,
      createdAt: nowMs(),
      dispatched,
      status: "queued",
      endedByServer: false,
      outputTruncated: false,
      logs: [],
      transitions: [],
    };
    this.#tasks.set(task.id, task);
    this.#enter(task, "queued");
    return task;
  }

  /** The task, if there is one. */
  get(id: string): Task | undefined {
    return this.#tasks.get(id);
  }

  /** The task, which must exist. */
  known(id: string): Task {
    const task = this.#tasks.get(id);
    if (!task) throw new Error(`there is no task ${id}`);
    return task;
  }

  /** All tasks, oldest first. */
  all(): Task[] {
    return [...this.#tasks.values()];
  }

  /**
   * Holds a claim for up to `waitMs`. `onHangUp` is given a function to call when the caller is
   * gone: the claim goes on all the same and leases the next task to nobody.
   */
  claim(
    nodeId: string,
    waitMs: number,
    onHangUp: (hungUp: () => void) => void,
  ): Promise<Task | undefined> {
    return new Promise((resolve) => {
      const { claimPollMs } = this.#options;
      const held: HeldClaim = {
        nodeId,
        callerThere: true,
        give: (task) => {
          clearTimeout(end);
          clearInterval(poll);
          this.#claims.delete(held);
          resolve(task);
        },
      };
      onHangUp(() => {
        held.callerThere = false;
        if (!this.#options.claimsOutliveCallers) held.give(undefined);
      });
      const end = setTimeout(() => held.give(undefined), waitMs);
      const poll = claimPollMs > 0
        ? setInterval(() => this.#serve(nodeId), claimPollMs)
        : undefined;
      this.#claims.add(held);
      this.#serve(nodeId);
    });
  }

  /** `accepted`: true when it changed something, false for a duplicate. */
  accept(task: Task): boolean {
    if (task.status !== "queued") return false;
    this.#lease(task);
    return true;
  }

  /** `started`; `timestamp` becomes startedAt. */
  start(task: Task, timestamp: string | undefined): void {
    if (task.status === "running") return;
    if (task.status === "queued" && task.leaseUntil !== undefined) {
      throw new HttpError(409, "lease expired before started transition");
    }
    if (task.status !== "accepted") {
      throw new HttpError(409, `Task is in ${task.status} state and cannot be started`);
    }
    task.startedAt = timestamp ? Date.parse(timestamp) : nowMs();
    this.#enter(task, "running");
  }

  /** `logs`. */
  log(task: Task, entry: TaskLog): void {
    if (task.status !== "running") {
      throw new HttpError(409, `Task is in ${task.status} state and takes no logs`);
    }
    if (unstorable(entry.line) || unstorable(entry.stream)) throw internalError();
    task.logs.push(entry);
  }

  /** `completed`. */
  complete(task: Task, body: CompletedBody): void {
    const status = body.status === "canceled"
      ? "cancelled"
      : body.status === "timeout"
      ? "failed"
      : body.status;
    if (task.status === status) return;
    if (task.status !== "running") {
      throw new HttpError(409, `Task is in ${task.status} state and cannot become ${status}`);
    }
    const output = body.output?.slice(0, STORED_OUTPUT_UNITS);
    const noText = body.error === null && (body.output ?? null) === null;
    if (
      noText || unstorable(body.output?.includes("\0") ? "\0" : output) ||
      unstorable(body.error) || unstorableInside(body.result)
    ) throw internalError();
    task.completion = body;
    if (output !== undefined) task.output = output;
    task.outputTruncated = (body.output?.length ?? 0) > STORED_OUTPUT_UNITS;
    task.result = body.result ?? {
      ...(body.exitCode === undefined ? {} : { exitCode: body.exitCode }),
      ...(body.error ? { error: body.error } : {}),
      ...(body.durationMs === undefined ? {} : { durationMs: body.durationMs }),
      completedAt: body.timestamp ?? new Date().toISOString(),
    };
    if (body.status === "timeout") task.reason = "timeout";
    this.#enter(task, status);
  }

  /** An operator cancels: at once before `started`, else the agent is asked to. */
  cancel(task: Task, reason: string): void {
    if (hasEnded(task)) return;
    task.cancelReason = reason;
    task.cancelRequestedAt = nowMs();
    if (task.status === "running") this.#changed();
    else this.#endByServer(task, "cancelled", reason);
  }

  /** Gives a task out once more that was claimed, and has not begun. */
  endLease(task: Task): void {
    if (task.status === "accepted") this.#enter(task, "queued", "lease expired");
  }

  /** The server gives up on a task. */
  fail(task: Task, reason: string): void {
    if (!hasEnded(task)) this.#endByServer(task, "failed", reason);
  }

  /** The claims of a node may be served again. */
  wake(nodeId: string): void {
    if (this.#options.claimPollMs === 0) this.#serve(nodeId);
  }

  /** How many claims wait, those whose caller has hung up included. */
  get heldClaims(): number {
    return this.#claims.size;
  }

  /** Ends all held claims without a task: the server goes down. */
  dropClaims(): void {
    for (const claim of this.#claims) claim.give(undefined);
  }

  /** Forgets all timers. */
  close(): void {
    this.dropClaims();
    for (const timer of this.#deadlines.values()) clearTimeout(timer);
    this.#deadlines.clear();
  }

  /** Gives queued tasks to held claims. Two claims of one node at once get the same task. */
  #serve(nodeId: string): void {
    if (!this.#mayClaim(nodeId)) return;
    for (const claim of this.#claims) {
      if (claim.nodeId !== nodeId) continue;
      const task = this.#oldestQueued(nodeId);
      if (!task) return;
      this.#lease(task, claim.callerThere ? undefined : "leased to a claim whose caller is gone");
      claim.give(task);
      if (!claim.callerThere) continue;
      for (const other of this.#claims) {
        if (other.nodeId === nodeId && other.callerThere) other.give(task);
      }
    }
  }

  #oldestQueued(nodeId: string): Task | undefined {
    for (const task of this.#queue) if (task.nodeId === nodeId) return task;
    return undefined;
  }

  #lease(task: Task, note?: string): void {
    task.acceptedAt = nowMs();
    task.leaseUntil = task.acceptedAt + this.#options.leaseMs;
    task.claimToken = crypto.randomUUID();
    this.#enter(task, "accepted", note);
  }

  #endByServer(task: Task, status: "failed" | "cancelled", reason: string): void {
    task.endedByServer = true;
    task.reason = reason;
    this.#enter(task, status, reason);
  }

  #enter(task: Task, status: TaskStatus, note?: string): void {
    const at = nowMs();
    task.status = status;
    task.transitions.push({ status, at, ...(note ? { note } : {}) });
    if (status === "queued" && !task.dispatched) this.#queue.add(task);
    else this.#queue.delete(task);
    if (hasEnded(task)) task.endedAt = at;
    this.#setDeadline(task, at);
    this.#changed();
    if (status === "queued") this.wake(task.nodeId);
  }

  #setDeadline(task: Task, at: number): void {
    clearTimeout(this.#deadlines.get(task.id));
    this.#deadlines.delete(task.id);
    const { queueTimeoutMs, leaseMs, runningTimeoutMs } = this.#options;
    const set = (delayMs: number, run: () => void) =>
      this.#deadlines.set(task.id, setTimeout(run, Math.max(0, delayMs)));
    if (task.status === "queued") {
      set(queueTimeoutMs, () => this.fail(task, "queued for too long without a claim"));
    } else if (task.status === "accepted") {
      set(leaseMs, () => this.endLease(task));
    } else if (task.status === "running") {
      const ranMs = at - (task.startedAt ?? at);
      set(runningTimeoutMs - ranMs, () => this.fail(task, "running for too long"));
    }
  }
}
