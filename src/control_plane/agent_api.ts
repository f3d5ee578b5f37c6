import * as z from "@zod/zod";
import { RefusedError } from "./errors.ts";
import type { HttpCall, HttpTransport } from "./http.ts";
import type { Reachability } from "./reachability.ts";
import type { HostFacts } from "../system/host_facts.ts";
import {
  AcceptedAnswer,
  ChangedTask,
  Claim,
  type Completion,
  ConsumedInstall,
  EnrollmentStatus,
  HeartbeatAnswer,
  InitiatedEnrollment,
  type InstallProgress,
  type LogEntry,
  type NodeFacts,
  type RootAccessReport,
  StoredEntry,
  type Task,
  TaskControl,
  type UpdateProgress,
  UpdateProgressAnswer,
} from "./schemas.ts";

/** Who this node is to the control plane. */
export interface Credentials {
  /** The node's id, a UUID. */
  nodeId: string;
  /** The secret that goes with it. */
  agentToken: string;
}

/** The longest that a claim may be held by the server, in milliseconds (contract: Tasks over HTTP). */
export const MAX_CLAIM_WAIT_MS = 30_000;

/** The calls that need no authentication (contract: Enrollment). */
export class EnrollmentApi {
  readonly #transport: HttpTransport;
  readonly #timeoutMs: number;

  /** Each call is given up after `timeoutMs`. */
  constructor(transport: HttpTransport, timeoutMs: number) {
    this.#transport = transport;
    this.#timeoutMs = timeoutMs;
  }

  /** Asks for this machine to be let in; whoever owns `email` approves it. */
  initiate(
    body: { email: string; hostname: string; additionalInfo: NodeFacts },
    signal?: AbortSignal,
  ): Promise<InitiatedEnrollment> {
    return withoutLocationIfNeeded(body, (body) =>
      this.#transport.call({
        method: "POST",
        path: "/enrollments/initiate",
        answer: InitiatedEnrollment,
        body,
        timeoutMs: this.#timeoutMs,
        signal,
      }));
  }

  /** Asks where the enrollment stands; 404 means the token is unknown. */
  status(token: string, signal?: AbortSignal): Promise<EnrollmentStatus> {
    return this.#transport.call({
      method: "GET",
      path: `/enrollments/${encodeURIComponent(token)}`,
      answer: EnrollmentStatus,
      timeoutMs: this.#timeoutMs,
      signal,
    });
  }

  /** Makes this machine a node by a token that the web app gave for it; the token is used up then. */
  consume(
    body: { token: string; hostname: string; additionalInfo: NodeFacts },
  ): Promise<ConsumedInstall> {
    return withoutLocationIfNeeded(body, (body) =>
      this.#transport.call({
        method: "POST",
        path: "/node-installs/consume",
        answer: ConsumedInstall,
        body,
        timeoutMs: this.#timeoutMs,
      }));
  }

  /** Tells the web app how an installation with such a token goes; also after it was used up. */
  async progress(body: InstallProgress): Promise<void> {
    await this.#transport.call({
      method: "POST",
      path: "/node-installs/progress",
      answer: z.unknown(),
      body,
      timeoutMs: this.#timeoutMs,
    });
  }
}

/** The calls of an enrolled node (contract: Authentication, Heartbeat, Tasks over HTTP). */
export class AgentApi {
  readonly #transport: HttpTransport;
  readonly #credentials: Credentials;
  readonly #timeoutMs: () => number;
  readonly #headers: Record<string, string>;

  /** `timeoutMs` is asked before each call: it may change while the agent runs. */
  constructor(transport: HttpTransport, credentials: Credentials, timeoutMs: () => number) {
    this.#transport = transport;
    this.#credentials = credentials;
    this.#timeoutMs = timeoutMs;
    this.#headers = {
      authorization: `Bearer ${credentials.agentToken}`,
      "x-agent-node-id": credentials.nodeId,
    };
  }

  /** Whether the control plane answers. */
  get reachability(): Reachability {
    return this.#transport.reachability;
  }

  /** Tells the control plane that the node is alive, and its versions. */
  async heartbeat(facts: HostFacts, signal?: AbortSignal): Promise<void> {
    const { agentVersion, platformVersion, kernelVersion } = facts;
    const { nodeId } = this.#credentials;
    const body = { ...this.#credentials, agentVersion, platformVersion, kernelVersion };
    await this.#post("/agent/heartbeat", HeartbeatAnswer, body, {
      signal,
      isMine: (answer) => answer.nodeId === nodeId,
    });
  }

  /**
   * Waits up to `waitMs` for a task; the call's own limit lies beyond that. `rootAccess` is what is
   * in force, where the control plane has wished any.
   */
  claim(waitMs: number, signal?: AbortSignal, rootAccess?: RootAccessReport): Promise<Claim> {
    const body = { maxTasks: 1, waitMs, ...(rootAccess ? { rootAccess } : {}) };
    return this.#post("/agent/tasks/claim", Claim, body, {
      signal,
      timeoutMs: waitMs + this.#timeoutMs(),
    });
  }

  /** Hears of a task that comes without a claim. */
  pushed(_task: Task): void {}

  /** Confirms the claim. `patience` stretches the time limit, here and below. */
  async accepted(taskId: string, patience = 1): Promise<void> {
    await this.#tell("accepted", AcceptedAnswer, (answer) => answer.taskId, taskId, {}, patience);
  }

  /**
   * Makes the task running. Its start is left to the server's clock: the rule that ends a task
   * after 1800 s is counted from it.
   */
  async started(taskId: string, patience = 1): Promise<void> {
    await this.#tell("started", ChangedTask, (answer) => answer.id, taskId, {}, patience);
  }

  /** Stores one log entry. Not to be given up: a call that comes late can undo the completion. */
  async log(taskId: string, entry: LogEntry, patience = 1): Promise<void> {
    await this.#tell("logs", StoredEntry, (answer) => answer.taskId, taskId, entry, patience);
  }

  /** Ends the task on the control plane. */
  async completed(taskId: string, completion: Completion, patience = 1): Promise<void> {
    const body = withinResult(completion);
    await this.#tell("completed", ChangedTask, (answer) => answer.id, taskId, body, patience);
  }

  /** Tells operators how an update of this agent goes. */
  async updateProgress(
    targetId: string,
    progress: UpdateProgress,
    signal?: AbortSignal,
  ): Promise<void> {
    const path = `/agent-updates/targets/${encodeURIComponent(targetId)}/progress`;
    await this.#post(path, UpdateProgressAnswer, progress, { signal });
  }

  /** Asks whether the task is still wanted. */
  control(taskId: string, signal?: AbortSignal): Promise<TaskControl> {
    return this.#call({
      method: "GET",
      path: `/agent/tasks/${taskId}/control`,
      answer: TaskControl,
      isMine: (answer) => answer.taskId === taskId,
      timeoutMs: this.#timeoutMs(),
      signal,
    });
  }

  /** `taskOf` says which task an answer is about. */
  async #tell<T>(
    what: string,
    answer: z.ZodType<T>,
    taskOf: (answer: T) => string,
    taskId: string,
    body: unknown,
    patience: number,
  ): Promise<void> {
    await this.#post(`/agent/tasks/${taskId}/${what}`, answer, body, {
      timeoutMs: this.#timeoutMs() * patience,
      isMine: (given) => taskOf(given) === taskId,
    });
  }

  #post<T>(
    path: string,
    answer: z.ZodType<T>,
    body: unknown,
    options: Partial<Pick<HttpCall<T>, "signal" | "timeoutMs" | "isMine">> = {},
  ): Promise<T> {
    const timeoutMs = this.#timeoutMs();
    return this.#call({ method: "POST", path, answer, body, timeoutMs, ...options });
  }

  #call<T>(call: HttpCall<T>): Promise<T> {
    return this.#transport.call({ ...call, headers: this.#headers });
  }
}

/** A control plane that knows no locations refuses all that comes with one (contract: Location). */
async function withoutLocationIfNeeded<Body extends { additionalInfo: NodeFacts }, T>(
  body: Body,
  send: (body: Body) => Promise<T>,
): Promise<T> {
  const { location, ...additionalInfo } = body.additionalInfo;
  if (!location) return await send({ ...body, additionalInfo });
  try {
    return await send(body);
  } catch (error) {
    if (!(error instanceof RefusedError) || error.status !== 400) throw error;
    return await send({ ...body, additionalInfo });
  }
}

/** What stands beside a result is dropped, so it goes inside (contract: Tasks over HTTP). */
function withinResult(completion: Completion): Completion {
  const { result, exitCode, error, durationMs, ...beside } = completion;
  if (!result) return completion;
  return { ...beside, result: { ...result, exitCode, error, durationMs } };
}
