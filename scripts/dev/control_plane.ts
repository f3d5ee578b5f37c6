/**
 * A local control plane: the agent-facing HTTP part of the platform, in memory, strict about every
 * rule of the contract, with faults to inject. For end-to-end tests and for `deno task dev`.
 */
import type { Server } from "node:http";
import { type Fault, Faults, type FaultSpec } from "./_faults.ts";
import type { HttpError } from "./_http_error.ts";
import { Flights, nowMs, type RequestRecord, type WaitOptions, Waits } from "./_ledger.ts";
import { type Enrollment, type Node, Nodes } from "./_nodes.ts";
import { type ControlPlaneOptions, DEFAULT_OPTIONS } from "./_options.ts";
import { type Call, Routes, taskRoute } from "./_routes.ts";
import type { RootAccessProfile } from "./_rules.ts";
import { ControlPlaneServer } from "./_server.ts";
import { tellStory } from "./_story.ts";
import { hasEnded, type NewTask, type Task, type TaskStatus } from "./_task.ts";
import { Tasks } from "./_tasks.ts";

export type { ControlPlaneOptions, Enrollment, Fault, FaultSpec, NewTask, Node, RequestRecord };
export type { RootAccessProfile, Task, TaskStatus, WaitOptions };
export type { TaskLog, Transition } from "./_task.ts";
export { hasEnded };

/** Operators are shown so many log entries of a task (contract, tasks over HTTP). */
const SHOWN_ENTRIES = 100;

/** Starts a control plane on 127.0.0.1; dispose of it to leave nothing behind. */
export async function startControlPlane(
  options: Partial<ControlPlaneOptions> = {},
): Promise<ControlPlane> {
  const controlPlane = new ControlPlane({ ...DEFAULT_OPTIONS, ...options });
  await controlPlane.start();
  return controlPlane;
}

/** A running control plane, see {@linkcode startControlPlane}. */
export class ControlPlane implements AsyncDisposable {
  /** The settings; times may be changed and count for what begins afterwards. */
  readonly options: ControlPlaneOptions;
  /** What was received, oldest first; the oldest are forgotten. */
  readonly requests: RequestRecord[] = [];
  readonly #violations: string[] = [];
  readonly #faults = new Faults();
  readonly #flights = new Flights((sentence) => this.#violations.push(sentence));
  readonly #waits = new Waits();
  readonly #nodes: Nodes;
  readonly #tasks: Tasks;
  readonly #server: ControlPlaneServer;
  readonly #offline = new Map<string, ReturnType<typeof setTimeout>>();

  /** Use {@linkcode startControlPlane}. */
  constructor(options: ControlPlaneOptions) {
    this.options = options;
    const changed = () => this.#waits.changed();
    const violate = (sentence: string) => void this.#violations.push(sentence);
    this.#nodes = new Nodes(options, changed);
    this.#tasks = new Tasks(options, (id) => !this.#nodes.get(id)?.maintenance, changed);
    const routes = new Routes(options, this.#nodes, this.#tasks, violate, (node) => {
      clearTimeout(this.#offline.get(node.nodeId));
      this.#offline.set(node.nodeId, setTimeout(changed, options.offlineAfterMs));
    });
    this.#server = new ControlPlaneServer({
      options,
      faults: this.#faults,
      flights: this.#flights,
      waits: this.#waits,
      requests: this.requests,
      handle: (call) => routes.handle(call),
      refused: (call, error) => this.#refused(call, error),
    });
  }

  /** The HTTP server, the same over stop and start: a realtime server can be attached to it. */
  get server(): Server {
    return this.#server.http;
  }

  /** The port, kept over stop and start. */
  get port(): number {
    return this.#server.port;
  }

  /** What an agent is given as its api_url. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Listens; the second time on the same port, with all state kept. */
  async start(): Promise<void> {
    await this.#server.start();
  }

  /** Goes down: open connections are reset, held claims are forgotten, the state is kept. */
  async stop(): Promise<void> {
    const stopped = this.#server.stop();
    this.#tasks.dropClaims();
    await stopped;
  }

  /** Stops, and forgets all timers and waits. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#tasks.close();
    for (const timer of this.#offline.values()) clearTimeout(timer);
    this.#waits.close();
  }

  /** Injects a fault until it has hit `times` requests or is removed. */
  fault(spec: FaultSpec): Fault {
    return this.#faults.add(spec);
  }

  /** Takes all faults away. */
  clearFaults(): void {
    this.#faults.clear();
  }

  /** Every breach of a contract rule by an agent, as sentences; a good agent leaves it empty. */
  get violations(): readonly string[] {
    this.#flights.settle();
    return this.#violations;
  }

  /** The most writing calls for a task that were in flight together. */
  maxInFlight(taskId: string): number {
    return this.#flights.max(`task ${taskId}`);
  }

  /** The most claims of a node that were in flight together. */
  maxClaimsInFlight(nodeId: string): number {
    return this.#flights.max(`claim ${nodeId}`);
  }

  /** How many claims are held now, those whose caller has hung up included. */
  get heldClaims(): number {
    return this.#tasks.heldClaims;
  }

  /** Adds an enrolled node, with its own credentials if it has some from before. */
  addNode(
    options: { hostname?: string; nodeId?: string; agentToken?: string } = {},
  ): { nodeId: string; agentToken: string } {
    const { nodeId, agentToken } = this.#nodes.add(options.hostname ?? "node", {}, options);
    return { nodeId, agentToken };
  }

  /** The node as it stands, with `status` by the 90 s rule (contract, heartbeat). */
  node(nodeId: string): Readonly<Node> & { status: "online" | "offline" } {
    const node = this.#node(nodeId);
    const silentMs = nowMs() - (node.lastSeenAt ?? 0);
    return { ...node, status: silentMs < this.options.offlineAfterMs ? "online" : "offline" };
  }

  /** Deletes a node: its calls are answered with 401 from now on. */
  deleteNode(nodeId: string): void {
    this.#node(nodeId).deleted = true;
    this.#waits.changed();
  }

  /** Turns maintenance on or off: a node in maintenance gets no new tasks. */
  maintenance(nodeId: string, on: boolean): void {
    this.#node(nodeId).maintenance = on;
    this.#tasks.wake(nodeId);
  }

  /** Sets the desired root access profile; null (default): a platform that knows no profiles. */
  setRootAccess(nodeId: string, profile: RootAccessProfile | null): void {
    const updatedAt = new Date().toISOString();
    this.#node(nodeId).rootAccess = profile && { profile, updatedAt };
  }

  /** All enrollments, oldest first. */
  get enrollments(): readonly Readonly<Enrollment>[] {
    return this.#nodes.enrollments();
  }

  /** Approves an enrollment; answers the credentials that its agent will be given. */
  approve(token: string): { nodeId: string; agentToken: string } {
    const { nodeId, agentToken } = this.#nodes.approve(token);
    return { nodeId, agentToken };
  }

  /** Revokes an enrollment. */
  revoke(token: string): void {
    this.#nodes.settle(token, "revoked");
  }

  /** Rejects an enrollment. */
  reject(token: string): void {
    this.#nodes.settle(token, "rejected");
  }

  /** Lets an enrollment expire. */
  expire(token: string): void {
    this.#nodes.settle(token, "expired");
  }

  /** Makes a token for `POST /node-installs/consume`. */
  addInstall(): string {
    return this.#nodes.addInstall();
  }

  /** Queues a task for the node added last, or for its `nodeId`, and answers its id. */
  queueTask(task: NewTask): string {
    const nodeId = task.nodeId ?? this.#nodes.newest()?.nodeId;
    if (nodeId === undefined) throw new Error("there is no node: call addNode() or enroll one");
    return this.#tasks.add(nodeId, task).id;
  }

  /** An operator cancels a task. */
  cancelTask(id: string, reason = "Stopped by operator"): void {
    this.#tasks.cancel(this.#task(id), reason);
  }

  /** The server gives up on a task. */
  failTask(id: string, reason = "the control plane gave up"): void {
    this.#tasks.fail(this.#task(id), reason);
  }

  /** The task as it stands; its `logs` and `transitions` go on growing. */
  task(id: string): Readonly<Task> {
    return { ...this.#task(id) };
  }

  /** All tasks, oldest first. */
  get tasks(): readonly Readonly<Task>[] {
    return this.#tasks.all();
  }

  /** What operators are shown of a task's log: its first 100 entries, joined by newlines. */
  operatorLog(id: string): string {
    return this.#task(id).logs.slice(0, SHOWN_ENTRIES).map(({ line }) => line).join("\n");
  }

  /** All entries of one stream, joined by newlines. */
  streamText(id: string, stream: string): string {
    const entries = this.#task(id).logs.filter((entry) => entry.stream === stream);
    return entries.map(({ line }) => line).join("\n");
  }

  /** Resolves with the first truthy value of `predicate`, looked at after each request and change. */
  waitFor<T>(predicate: () => T, options?: WaitOptions): Promise<NonNullable<T>> {
    return this.#waits.waitFor(predicate, options);
  }

  /**
   * Resolves when the task is, or once was, in one of the states, or when the predicate holds.
   * Rejects at the time limit, or when the task ended in a state that was not asked for; the
   * error tells how the task stands.
   */
  waitForTask(
    id: string,
    condition: readonly TaskStatus[] | ((task: Readonly<Task>) => boolean),
    timeoutMs = 10_000,
  ): Promise<Readonly<Task>> {
    const task = this.#task(id);
    const isPredicate = typeof condition === "function";
    const holds = isPredicate
      ? condition
      : () => task.transitions.some(({ status }) => condition.includes(status));
    const what = isPredicate ? "a condition on it" : `state ${condition.join(" or ")}`;
    return this.#waits.waitFor(() => {
      if (holds(task)) return { ...task };
      if (!isPredicate && hasEnded(task)) {
        throw new Error(`the task will not come to ${what} any more: ${this.describe(id)}`);
      }
      return undefined;
    }, { timeoutMs, what: () => `${what}: ${this.describe(id)}` });
  }

  /** How a task stands, with its story and its last calls: for the text of a failed test. */
  describe(id: string): string {
    return tellStory(this.#task(id), this.requests);
  }

  #node(nodeId: string): Node {
    const node = this.#nodes.get(nodeId);
    if (!node) throw new Error(`there is no node ${nodeId}`);
    return node;
  }

  #task(id: string): Task {
    const task = this.#tasks.get(id);
    if (!task) throw new Error(`there is no task ${id}`);
    return task;
  }

  /** Holds a refusal against the agent, unless it could not have known. */
  #refused(call: Call, { statusCode, message }: HttpError): void {
    const route = taskRoute(call.route);
    if (statusCode === 409 && route) {
      const task = this.#tasks.get(route.taskId);
      if (!task || task.endedByServer) return;
      if (route.call === "started" && !hasEnded(task)) return;
    } else if (![400, 413, 500].includes(statusCode) && !message.startsWith("Cannot ")) return;
    this.#violations.push(`${call.method} ${call.path} was refused with ${statusCode}: ${message}`);
  }
}
