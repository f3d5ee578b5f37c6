/**
 * A local control plane: the agent-facing part of the platform, in memory, strict about every rule
 * of the contract, with faults to inject. For end-to-end tests and for `deno task dev`.
 */
import { AgentUpdates, type AgentUpdateTarget } from "./_agent_updates.ts";
import { blame } from "./_blame.ts";
import { type Fault, Faults, type FaultSpec } from "./_faults.ts";
import {
  Flights,
  nowMs,
  PATIENCE_MS,
  type RequestRecord,
  type WaitOptions,
  Waits,
} from "./_ledger.ts";
import { type Enrollment, type Node, Nodes, type NodeStatus, nodeStatus } from "./_nodes.ts";
import { type ControlPlaneOptions, DEFAULT_OPTIONS } from "./_options.ts";
import { Realtime } from "./_realtime.ts";
import { Routes } from "./_routes.ts";
import type { RootAccessProfile } from "./_rules.ts";
import { ControlPlaneServer } from "./_server.ts";
import { tellStory } from "./_story.ts";
import { taskCheck, type TaskCondition } from "./_task_check.ts";
import { hasEnded, type NewTask, type Task, type TaskStatus } from "./_task.ts";
import { Tasks } from "./_tasks.ts";

export type { ControlPlaneOptions, Enrollment, Fault, FaultSpec, NewTask, Node, RequestRecord };
export type { AgentUpdateTarget };
export type { RootAccessProfile, Task, TaskStatus, WaitOptions };
export type { TimedMetrics } from "./_agent_events.ts";
export type { EventRecord } from "./_event_log.ts";
export type { NodeSocket, Realtime } from "./_realtime.ts";
export type { TaskLog, Transition } from "./_task.ts";
export type { NewTerminal, Terminal, TerminalStatus } from "./_terminal.ts";
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
  /** Sockets, metrics and terminals. */
  readonly realtime: Realtime;
  readonly #violations: string[] = [];
  readonly #faults = new Faults();
  readonly #flights = new Flights((sentence) => this.#violations.push(sentence));
  readonly #waits = new Waits();
  readonly #nodes: Nodes;
  readonly #tasks: Tasks;
  readonly #updates: AgentUpdates;
  readonly #server: ControlPlaneServer;
  readonly #offline = new Map<string, ReturnType<typeof setTimeout>>();

  /** Use {@linkcode startControlPlane}. */
  constructor(options: ControlPlaneOptions) {
    this.options = options;
    const changed = () => this.#waits.changed();
    const violate = (sentence: string) => void this.#violations.push(sentence);
    this.#nodes = new Nodes(options, changed);
    this.#tasks = new Tasks(options, (id) => !this.#nodes.get(id)?.maintenance, changed);
    this.#updates = new AgentUpdates(this.#nodes, this.#tasks, changed);
    const seen = (node: Node) => {
      node.lastSeenAt = nowMs();
      clearTimeout(this.#offline.get(node.nodeId));
      this.#offline.set(node.nodeId, setTimeout(changed, options.offlineAfterMs));
    };
    const routes = new Routes(
      options,
      this.#nodes,
      this.#tasks,
      this.#updates,
      violate,
      seen,
    );
    this.realtime = new Realtime({
      options,
      nodes: this.#nodes,
      tasks: this.#tasks,
      waits: this.#waits,
      violate,
      seen,
      handle: routes.handle.bind(routes),
    });
    this.#server = new ControlPlaneServer({
      options,
      faults: this.#faults,
      flights: this.#flights,
      waits: this.#waits,
      requests: this.requests,
      handle: (call) => this.realtime.handshake(call) ?? routes.handle(call),
      upgrade: this.realtime.upgrade.bind(this.realtime),
      refused: (call, error) => blame(call, error, this.#tasks, violate),
    });
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
    this.realtime.close();
    this.#tasks.close();
    for (const timer of this.#offline.values()) clearTimeout(timer);
    this.#waits.close();
  }

  /** Sends a node another version of the agent; gives what comes of it, as it comes. */
  updateAgent(
    targetVersion: string,
    options: { nodeId?: string; rollback?: boolean } = {},
  ): AgentUpdateTarget {
    return this.#updates.start(targetVersion, options);
  }

  /** Injects a fault until it has hit `times` requests or is removed. */
  fault(spec: FaultSpec): Fault {
    return this.#faults.add(spec);
  }

  /** Takes all away. */
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

  /** The node as it stands. */
  node(nodeId: string): Readonly<Node> & { status: NodeStatus } {
    const node = this.#nodes.known(nodeId);
    return { ...node, status: nodeStatus(node, this.options) };
  }

  /** All nodes that were not deleted, oldest first. */
  get nodes(): (Readonly<Node> & { status: NodeStatus })[] {
    return this.#nodes.all().map(({ nodeId }) => this.node(nodeId));
  }

  /** Deletes a node: its calls are answered with 401 from now on. */
  deleteNode(nodeId: string): void {
    this.#nodes.known(nodeId).deleted = true;
    this.#waits.changed();
  }

  /** Turns maintenance on or off: a node in maintenance gets no new tasks. */
  maintenance(nodeId: string, on: boolean): void {
    this.#nodes.known(nodeId).maintenance = on;
    this.#tasks.wake(nodeId);
  }

  /**
   * Sets the desired root access profile and sends it by `root-access.updated`; null (default): a
   * platform that knows no profiles.
   */
  setRootAccess(nodeId: string, profile: RootAccessProfile | null): void {
    const rootAccess = profile && { profile, updatedAt: new Date().toISOString() };
    this.#nodes.known(nodeId).rootAccess = rootAccess;
    const type = "root-access.updated";
    if (rootAccess) this.realtime.send(nodeId, type, { type, rootAccess });
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
    return this.#tasks.add(this.#nodes.known(task.nodeId).nodeId, task).id;
  }

  /** An operator cancels a task. */
  cancelTask(id: string, reason = "Stopped by operator"): void {
    this.#tasks.cancel(this.#tasks.known(id), reason);
  }

  /** The lease of a task runs out now: one that was claimed, and not begun, is queued again. */
  endLease(id: string): void {
    this.#tasks.endLease(this.#tasks.known(id));
  }

  /** The server gives up on a task. */
  failTask(id: string, reason = "the control plane gave up"): void {
    this.#tasks.fail(this.#tasks.known(id), reason);
  }

  /** The task as it stands; its `logs` and `transitions` go on growing. */
  task(id: string): Readonly<Task> {
    return { ...this.#tasks.known(id) };
  }

  /** All tasks, oldest first. */
  get tasks(): readonly Readonly<Task>[] {
    return this.#tasks.all();
  }

  /** What operators are shown of a task's log: its first 100 entries, joined by newlines. */
  operatorLog(id: string): string {
    return this.#tasks.known(id).logs.slice(0, SHOWN_ENTRIES).map(({ line }) => line).join("\n");
  }

  /** All entries of one stream, joined by newlines. */
  streamText(id: string, stream: string): string {
    const entries = this.#tasks.known(id).logs.filter((entry) => entry.stream === stream);
    return entries.map(({ line }) => line).join("\n");
  }

  /** Resolves with the first truthy value of `predicate`, looked at after each request and change. */
  waitFor<T>(predicate: () => T, options?: WaitOptions): Promise<NonNullable<T>> {
    return this.#waits.waitFor(predicate, options);
  }

  /** Calls the function after each request, event and change; the answered function ends that. */
  onChange(listener: () => void): () => void {
    return this.#waits.onChange(listener);
  }

  /** Something that is told with the control plane's own changes is another one. */
  touched(): void {
    this.#waits.touched();
  }

  /**
   * Resolves when the task is, or once was, in one of the states, or when the predicate holds.
   * Rejects at the time limit, or when the task ended in a state that was not asked for; the
   * error tells how the task stands.
   */
  waitForTask(
    id: string,
    condition: TaskCondition,
    timeoutMs = PATIENCE_MS,
  ): Promise<Readonly<Task>> {
    const check = taskCheck(this.#tasks.known(id), condition, () => this.describe(id));
    return this.#waits.waitFor(check.holds, { timeoutMs, what: check.what });
  }

  /** How a task stands, with its story and its last calls: for the text of a failed test. */
  describe(id: string): string {
    return tellStory(this.#tasks.known(id), this.requests);
  }
}
