import {
  context,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import { AgentApi } from "./agent_api.ts";
import { RefusedError } from "./errors.ts";
import type { Claim, Completion, LogEntry, RootAccessReport, Task } from "./schemas.ts";

/** So many traces are kept open; of a task that nothing more is heard of, the oldest one ends. */
const MAX_OPEN = 1_000;

const TRACER = trace.getTracer("noderax-agent");

/** What has no task has no trace: its calls are children of this one, which is not sampled. */
const UNTRACED = trace.setSpanContext(ROOT_CONTEXT, {
  traceId: "1".repeat(32),
  spanId: "1".repeat(16),
  traceFlags: TraceFlags.NONE,
});

/** Does work whose calls are in no trace but those that {@linkcode TracedAgentApi} makes. */
export function untraced<T>(work: () => T): T {
  return context.with(UNTRACED, work);
}

/** A task of which an earlier agent knew the type, if it is not there. */
type Followed = Pick<Task, "id"> & Partial<Pick<Task, "type">>;
type Step = "begin" | "run" | "upload" | "complete";

/** One trace for a task, with a span for each of its steps. */
class TaskTrace {
  readonly #root: Span;
  readonly #open = new Map<Step, Span>();
  #runStartedAt = 0;
  #entries = 0;

  constructor({ id, type }: Followed, startTime: number) {
    const attributes = { "noderax.task.id": id, ...(type ? { "noderax.task.type": type } : {}) };
    const name = type ? `task ${type}` : "task";
    this.#root = TRACER.startSpan(name, { startTime, attributes, root: true });
  }

  /** Makes a call within a step, which begins with its first call. */
  async during<T>(step: Step, call: () => Promise<T>): Promise<T> {
    if (step === "upload") this.#entries++;
    return await context.with(trace.setSpan(ROOT_CONTEXT, this.begin(step)), call);
  }

  /** The claim that has brought the task. */
  claimed(startTime: number): void {
    TRACER.startSpan("claim", { startTime }, this.#context).end();
  }

  /** The span of a step. */
  begin(step: Step): Span {
    const span = this.#open.get(step) ?? TRACER.startSpan(step, {}, this.#context);
    if (step === "run" && !this.#open.has(step)) this.#runStartedAt = Date.now();
    this.#open.set(step, span);
    return span;
  }

  /** The work has ended, and its output is delivered, as far as it will be. */
  ran({ durationMs }: Completion): void {
    const endedAt = durationMs === undefined ? Date.now() : this.#runStartedAt + durationMs;
    this.end("run", Math.min(endedAt, Date.now()));
    this.#open.get("upload")?.setAttribute("noderax.log.entries", this.#entries);
    this.end("upload");
  }

  /** Ends a step that has begun. */
  end(step: Step, endTime?: number): void {
    this.#open.get(step)?.end(endTime);
    this.#open.delete(step);
  }

  /** Ends the trace, with the outcome in a word. */
  close(status: string, exitCode?: number): void {
    for (const span of this.#open.values()) span.end();
    this.#root.setAttribute("noderax.task.status", status);
    if (exitCode !== undefined) this.#root.setAttribute("process.exit.code", exitCode);
    if (status !== "success") this.#root.setStatus({ code: SpanStatusCode.ERROR });
    this.#root.end();
  }

  get #context() {
    return trace.setSpan(ROOT_CONTEXT, this.#root);
  }
}

/**
 * The calls of a node, with one OpenTelemetry trace for each task: claim, begin, run, upload and
 * complete, and each HTTP call below its step. It has the task's id, type and outcome, nothing of
 * what it runs or prints. Deno exports it.
 */
export class TracedAgentApi extends AgentApi {
  readonly #open = new Map<string, TaskTrace>();

  /** Begins the trace of the task that it brings. */
  override async claim(
    waitMs: number,
    signal?: AbortSignal,
    rootAccess?: RootAccessReport,
  ): Promise<Claim> {
    const startedAt = Date.now();
    const claim = await super.claim(waitMs, signal, rootAccess);
    if (claim.task) this.#start(claim.task, startedAt).claimed(startedAt);
    return claim;
  }

  /** Begins the trace of a task without a claim. */
  override pushed(task: Task): void {
    this.#start(task, Date.now());
  }

  /** The first half of the step `begin`. */
  override async accepted(taskId: string, patience?: number): Promise<void> {
    await this.#beginning(taskId, () => super.accepted(taskId, patience));
  }

  /** Its second half; then the step `run` begins. */
  override async started(taskId: string, patience?: number): Promise<void> {
    await this.#beginning(taskId, () => super.started(taskId, patience));
    const task = this.#traceOf(taskId);
    task.end("begin");
    task.begin("run");
  }

  /** A part of the step `upload`. */
  override async log(taskId: string, entry: LogEntry, patience?: number): Promise<void> {
    const call = () => super.log(taskId, entry, patience);
    await this.#traceOf(taskId).during("upload", call);
  }

  /** The step `complete`, and the end of the trace. */
  override async completed(
    taskId: string,
    completion: Completion,
    patience?: number,
  ): Promise<void> {
    const task = this.#traceOf(taskId);
    task.ran(completion);
    await task.during("complete", () => super.completed(taskId, completion, patience));
    this.#close(taskId, completion.status, completion.exitCode);
  }

  async #beginning(taskId: string, call: () => Promise<void>): Promise<void> {
    try {
      await this.#traceOf(taskId).during("begin", call);
    } catch (error) {
      if (error instanceof RefusedError) this.#close(taskId, "refused");
      throw error;
    }
  }

  #traceOf(taskId: string): TaskTrace {
    return this.#start({ id: taskId }, Date.now());
  }

  #start(task: Followed, startedAt: number): TaskTrace {
    const known = this.#open.get(task.id);
    if (known) return known;
    const [oldest] = this.#open.keys();
    if (this.#open.size >= MAX_OPEN && oldest !== undefined) this.#close(oldest, "unknown");
    const started = new TaskTrace(task, startedAt);
    this.#open.set(task.id, started);
    return started;
  }

  #close(taskId: string, status: string, exitCode?: number): void {
    this.#open.get(taskId)?.close(status, exitCode);
    this.#open.delete(taskId);
  }
}
