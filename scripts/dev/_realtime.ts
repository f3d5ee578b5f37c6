import { createServer, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { Server, type Socket } from "socket.io";
import {
  AgentEvents,
  type AgentEventsParts,
  type Connection,
  type TimedMetrics,
} from "./_agent_events.ts";
import { EventLog, type EventRecord } from "./_event_log.ts";
import { HttpError } from "./_http_error.ts";
import { nowMs, type Waits } from "./_ledger.ts";
import { type Node, nodeStatus } from "./_nodes.ts";
import { AuthError, Refusal } from "./_refusal.ts";
import type { Answer, Call } from "./_routes.ts";
import type { NewTerminal, Terminal } from "./_terminal.ts";
import { Terminals } from "./_terminals.ts";
import type { NewTask } from "./_task.ts";
import { Timers } from "./_timers.ts";
import { wire } from "./_wire.ts";

const NAMESPACE = "/agent-realtime";
const PATH = "/socket.io/";

/** What the realtime part works with. */
export interface RealtimeParts extends Omit<AgentEventsParts, "authenticated" | "pinged"> {
  readonly waits: Waits;
}

/** An authenticated socket; times are epoch milliseconds. */
export type NodeSocket =
  & Pick<Connection, "connectedAt" | "authenticatedAt" | "lastPingAt">
  & { readonly id: string; readonly nodeId: string };

/** The Socket.IO part of the control plane (contract, realtime). */
export class Realtime {
  readonly #parts: RealtimeParts;
  readonly #timers = new Timers();
  readonly #events: AgentEvents;
  readonly #terminals: Terminals;
  readonly #log = new EventLog();
  readonly #connections = new Map<string, Connection>();
  readonly #byNode = new Map<string, Connection>();
  readonly #refusals = new Map<string, { times: number; message: string }>();
  /** Never listens: it is handed the upgrades, and so outlives a stop of the real server. */
  readonly #door = createServer();
  readonly #io = new Server(this.#door, {
    path: PATH,
    transports: ["websocket"],
    serveClient: false,
  });

  /** Makes one that gets its requests by `handshake` and `upgrade`. */
  constructor(parts: RealtimeParts) {
    this.#parts = parts;
    this.#events = new AgentEvents({
      ...parts,
      authenticated: (connection, node) => this.#authenticated(connection, node),
      pinged: (connection) => this.#pinged(connection),
    });
    this.#terminals = new Terminals((nodeId) => ({
      options: parts.options,
      timers: this.#timers,
      send: (event, payload) => this.send(nodeId, event, payload),
      changed: () => parts.waits.changed(),
      waitFor: (predicate, options) => parts.waits.waitFor(predicate, options),
    }), parts.violate);
    this.#io.of(NAMESPACE).on("connection", (socket) => this.#connected(socket));
  }

  /** The authenticated sockets, one a node. */
  get sockets(): NodeSocket[] {
    return [...this.#byNode].map(([nodeId, { socket, ...times }]) => ({
      id: socket.id,
      nodeId,
      connectedAt: times.connectedAt,
      ...(times.authenticatedAt === undefined ? {} : { authenticatedAt: times.authenticatedAt }),
      ...(times.lastPingAt === undefined ? {} : { lastPingAt: times.lastPingAt }),
    }));
  }

  /** What was received, oldest first; the oldest are forgotten. */
  get events(): readonly EventRecord[] {
    return this.#log.records;
  }

  /** All terminals, oldest first. */
  get terminals(): readonly Terminal[] {
    return this.#terminals.all();
  }

  /** The accepted snapshots of a node (default: the one added last), oldest first; an hour is kept. */
  metrics(nodeId?: string): readonly TimedMetrics[] {
    return this.#events.metrics(this.#parts.nodes.known(nodeId).nodeId);
  }

  /** Opens a terminal on a node (default: the one added last); an offline node gets none. */
  openTerminal(spec: NewTerminal & { nodeId?: string }): Terminal {
    const node = this.#parts.nodes.known(spec.nodeId);
    if (nodeStatus(node, this.#parts.options) === "offline") {
      throw new Error(`node ${node.nodeId} is offline: it gets no terminals`);
    }
    return this.#terminals.start(node.nodeId, spec);
  }

  /**
   * Sends a task by `task.dispatch` in one of its shapes and answers its id. It is queued until the
   * agent says `accepted`, and claims do not get it.
   */
  dispatch(spec: NewTask, shape: "wrapped" | "bare" | "action" = "wrapped"): string {
    const { nodeId } = this.#parts.nodes.known(spec.nodeId);
    const task = this.#parts.tasks.add(nodeId, spec, true);
    const { id: taskId, type: action, payload: data } = task;
    const payload = shape === "wrapped"
      ? { type: "task.dispatch", task: wire(task) }
      : shape === "bare"
      ? wire(task)
      : { taskId, action, data, timeout: spec.timeoutSeconds };
    this.send(nodeId, "task.dispatch", payload);
    return taskId;
  }

  /** Sends an event to a node as it is; false when the node has no authenticated socket. */
  send(nodeId: string, event: string, payload: unknown): boolean {
    return this.#byNode.get(nodeId)?.socket.emit(event, payload) ?? false;
  }

  /** Refuses the next `times` (default 1) events of a name; no violation. */
  refuse(event: string, { times = 1, message = "injected refusal" } = {}): void {
    this.#refusals.set(event, { times, message });
  }

  /** Cuts the TCP connections of a node, or of all nodes. */
  dropSockets(nodeId?: string): void {
    for (const { socket, node } of this.#connections.values()) {
      if (nodeId === undefined || node?.nodeId === nodeId) socket.request.socket.resetAndDestroy();
    }
  }

  /** A forced end by the server, which the agent reads as `io server disconnect`. */
  disconnect(nodeId: string): void {
    this.#byNode.get(nodeId)?.socket.disconnect(true);
  }

  /** For the server: takes a WebSocket upgrade over. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void {
    if (!request.url?.startsWith(PATH)) {
      socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    this.#door.emit("upgrade", request, socket, head);
  }

  /** For the server: answers a first polling handshake and no more; undefined for other paths. */
  handshake({ method, path }: Call): Answer | undefined {
    const url = new URL(path, "http://localhost");
    if (url.pathname !== PATH) return undefined;
    const { EIO, transport, sid } = Object.fromEntries(url.searchParams);
    if (method !== "GET" || EIO !== "4" || transport !== "polling" || sid !== undefined) {
      throw new HttpError(400, "polling answers the first handshake only");
    }
    const { pingInterval, pingTimeout, maxHttpBufferSize: maxPayload } = this.#io.engine.opts;
    const sizes = { upgrades: [], pingInterval, pingTimeout, maxPayload };
    return { status: 200, body: `0${JSON.stringify({ sid: crypto.randomUUID(), ...sizes })}` };
  }

  /** Forgets all sockets and timers. */
  close(): void {
    this.#io.engine.close();
    this.#timers.clear();
  }

  #connected(socket: Socket): void {
    const connection: Connection = { socket, connectedAt: nowMs(), cancelPingTimeout: () => {} };
    this.#connections.set(socket.id, connection);
    socket.onAny((event: string, ...args: unknown[]) => this.#receive(connection, event, args));
    socket.on("disconnect", () => this.#disconnected(connection));
  }

  #disconnected(connection: Connection): void {
    connection.cancelPingTimeout();
    this.#connections.delete(connection.socket.id);
    const { node } = connection;
    if (node && this.#byNode.get(node.nodeId) === connection) {
      this.#byNode.delete(node.nodeId);
      node.offlineAt = nowMs();
    }
    this.#parts.waits.changed();
  }

  #authenticated(connection: Connection, node: Node): void {
    const before = this.#byNode.get(node.nodeId);
    connection.node = node;
    connection.authenticatedAt = nowMs();
    this.#byNode.set(node.nodeId, connection);
    if (before !== connection) before?.socket.disconnect(true);
    this.#expectPing(connection);
  }

  #pinged(connection: Connection): void {
    connection.lastPingAt = nowMs();
    this.#expectPing(connection);
  }

  #expectPing(connection: Connection): void {
    connection.cancelPingTimeout();
    connection.cancelPingTimeout = this.#timers.set(this.#parts.options.agentPingTimeoutMs, () => {
      this.#parts.violate(`no "agent.ping" in time: the socket was dropped`);
      connection.socket.disconnect(true);
    });
  }

  /** Events are handled concurrently, each in its own time, as the platform does. */
  #receive(connection: Connection, event: string, [payload, ack]: unknown[]): void {
    const { options, waits } = this.#parts;
    const { socket, node } = connection;
    const record = this.#log.add(event, payload, socket.id, node?.nodeId);
    if (!node && event !== "agent.auth") {
      this.#refused(socket, event, new Refusal("the socket is not authenticated"));
      socket.disconnect(true);
      return;
    }
    const handled = this.#terminals.arrived(socket.id, event, payload);
    const handle = () => {
      if (!socket.connected && event === "agent.auth") return;
      const answer = this.#answer(connection, event, payload);
      handled();
      record.endedAt = nowMs();
      if (answer) record.answer = answer;
      if (answer && options.acks && typeof ack === "function") ack(answer);
      waits.touched();
    };
    const handlerMs = options.realtimeHandlerMs();
    // Authentication always takes a moment: whoever does not wait for it is found out.
    if (handlerMs > 0 || event === "agent.auth") this.#timers.set(handlerMs, handle);
    else handle();
  }

  /** The acknowledgement of an event; undefined: there is none, and the socket is closed. */
  #answer(
    connection: Connection,
    event: string,
    payload: unknown,
  ): Record<string, unknown> | undefined {
    const { socket } = connection;
    try {
      this.#checkRefusals(event);
      const answer = this.#events.handle(connection, event, payload) ??
        this.#terminals.handle(connection.node?.nodeId ?? "", event, payload);
      if (!answer) throw new Refusal(`there is no event ${event}`, true, "UNKNOWN_EVENT");
      this.#findNulls(event, payload);
      if (event === "agent.auth" && connection.node) {
        socket.emit("agent.auth.ack", answer);
        this.#terminals.resume(connection.node.nodeId);
      }
      return { ok: true, ...answer };
    } catch (thrown) {
      if (thrown instanceof AuthError) {
        socket.emit("agent.auth.error", { message: thrown.message });
        socket.disconnect(true);
        return undefined;
      }
      const refusal = thrown instanceof HttpError
        ? new Refusal(thrown.message, thrown.isFault)
        : thrown;
      // Anything else is a mistake of this program: let it be seen.
      if (!(refusal instanceof Refusal)) throw thrown;
      return this.#refused(socket, event, refusal);
    }
  }

  #refused(socket: Socket, event: string, refusal: Refusal): Record<string, unknown> {
    const { message, code, isFault } = refusal;
    socket.emit("agent.error", { eventType: event, ...(code ? { code } : {}), message });
    if (isFault) this.#parts.violate(`"${event}" was refused: ${message}`);
    return { ok: false, eventType: event, message };
  }

  #checkRefusals(event: string): void {
    const refusal = this.#refusals.get(event);
    if (!refusal) return;
    if (--refusal.times <= 0) this.#refusals.delete(event);
    throw new Refusal(refusal.message, false);
  }

  #findNulls(event: string, payload: unknown): void {
    for (const [name, value] of Object.entries(payload ?? {})) {
      if (value === null) this.#parts.violate(`"${event}": "${name}" is null, not left out`);
    }
  }
}
