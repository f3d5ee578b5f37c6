import type * as z from "@zod/zod";
import type { Socket } from "socket.io";
import { blame } from "./_blame.ts";
import { HttpError } from "./_http_error.ts";
import { nowMs } from "./_ledger.ts";
import type { Node, Nodes } from "./_nodes.ts";
import type { ControlPlaneOptions } from "./_options.ts";
import {
  authEvent,
  locatedAuthEvent,
  type Metrics,
  metricsEvent,
  nestedMetrics,
  pingEvent,
  taskEvent,
} from "./_realtime_rules.ts";
import { AuthError, Refusal } from "./_refusal.ts";
import type { Call } from "./_routes.ts";
import { parseBody, RefusedLocations } from "./_rules.ts";
import type { Tasks } from "./_tasks.ts";
import { checkColumns } from "./_wire.ts";

/** About an hour at one snapshot a second. */
const MAX_METRICS = 3600;

/** A socket of the agents' namespace; times are epoch milliseconds. */
export interface Connection {
  readonly socket: Socket;
  readonly connectedAt: number;
  /** Whose it is, once it is authenticated. */
  node?: Node;
  authenticatedAt?: number;
  lastPingAt?: number;
  /** Stops waiting for the next `agent.ping`. */
  cancelPingTimeout(): void;
}

/** A snapshot with the time it arrived, in epoch milliseconds. */
export type TimedMetrics = Metrics & { at: number };

/** What the events work with. */
export interface AgentEventsParts {
  readonly options: ControlPlaneOptions;
  readonly nodes: Nodes;
  /** Is told each breach that is not refused. */
  violate(sentence: string): void;
  /** Is told that a node is alive. */
  seen(node: Node): void;
  readonly tasks: Tasks;
  /** Answers a task event like the HTTP call it stands for; throws when it is refused. */
  handle(call: Call): unknown;
  /** Is told that a socket is now a node's. */
  authenticated(connection: Connection, node: Node): void;
  /** Is told of each `agent.ping`. */
  pinged(connection: Connection): void;
}

/** What an agent says about itself and its tasks (contract, realtime). */
export class AgentEvents {
  readonly #parts: AgentEventsParts;
  readonly #refusedLocations = new RefusedLocations();
  readonly #metrics = new Map<string, TimedMetrics[]>();

  /** Makes one for all nodes. */
  constructor(parts: AgentEventsParts) {
    this.#parts = parts;
  }

  /** The accepted snapshots of a node, oldest first; about an hour of them is kept. */
  metrics(nodeId: string): readonly TimedMetrics[] {
    return this.#metrics.get(nodeId) ?? [];
  }

  /** Handles an event; undefined for an unknown one, throws when refused. */
  handle(
    connection: Connection,
    event: string,
    payload: unknown,
  ): Record<string, unknown> | undefined {
    if (event === "agent.auth") return this.#auth(connection, payload);
    const { node } = connection;
    if (!node) throw new Refusal("the socket is not authenticated");
    switch (event) {
      case "agent.ping":
        parseBody(pingEvent, payload);
        this.#parts.pinged(connection);
        return {};
      case "agent.metrics":
        return this.#snapshot(node, payload);
      case "task.accepted":
      case "task.started":
      case "task.log":
      case "task.completed":
        return this.#task(connection, node, event, payload);
      default:
        return undefined;
    }
  }

  #auth(connection: Connection, payload: unknown): Record<string, unknown> {
    const { nodes, options, violate } = this.#parts;
    const schema = options.takesLocation ? locatedAuthEvent : authEvent;
    const sender = String(Object(payload).nodeId);
    const body = this.#refusedLocations.judge(
      sender,
      () => parseBody<z.infer<typeof locatedAuthEvent>>(schema, payload),
    );
    if (options.refuseAuth !== null) throw new AuthError(options.refuseAuth);
    const node = nodes.get(body.nodeId);
    if (!node || node.deleted || node.agentToken !== body.agentToken) {
      throw new AuthError("Invalid agent credentials");
    }
    checkColumns(body);
    const { agentVersion, platformVersion, kernelVersion } = body;
    const versions = [agentVersion, platformVersion, kernelVersion];
    if (versions.some((version) => version)) {
      // The missing ones are nulled.
      Object.assign(node, { agentVersion, platformVersion, kernelVersion });
      if (!versions.every((version) => version)) {
        violate(`"agent.auth" has some of the three versions: the others are lost`);
      }
    }
    node.location = body.location ?? node.location;
    if (body.rootAccess) node.appliedRootAccess = body.rootAccess;
    this.#parts.seen(node);
    this.#parts.authenticated(connection, node);
    return { authenticated: true, nodeId: node.nodeId, rootAccess: node.rootAccess };
  }

  #snapshot(node: Node, payload: unknown): Record<string, unknown> {
    const metrics = parseBody(metricsEvent, payload);
    if (metrics.nodeId !== node.nodeId || metrics.agentToken !== node.agentToken) {
      throw new Refusal("the credentials are not those of the socket");
    }
    checkColumns(metrics);
    const nested = nestedMetrics.safeParse(payload);
    for (const { path, message } of nested.error?.issues ?? []) {
      this.#parts.violate(`"agent.metrics" has a wrong ${path.join(".")}: ${message}`);
    }
    if (metrics.agentVersion) node.agentVersion = metrics.agentVersion;
    const list = this.#metrics.get(node.nodeId) ?? [];
    this.#metrics.set(node.nodeId, list);
    // Of the two the platform keeps one.
    if (metrics.networkStats) delete metrics.networks;
    list.push({ ...metrics, agentToken: "***", at: nowMs() });
    if (list.length > MAX_METRICS) list.shift();
    this.#parts.seen(node);
    return {};
  }

  #task(
    connection: Connection,
    node: Node,
    event: string,
    payload: unknown,
  ): Record<string, unknown> {
    const { type, ...body } = parseBody(taskEvent, payload);
    if (type !== event) throw new Refusal(`type must be ${event}`);
    const name = event === "task.log" ? "logs" : event.slice("task.".length);
    const route = `/agent/tasks/${body.taskId}/${name}`;
    const call: Call = {
      method: "POST",
      path: route,
      route,
      body,
      nodeId: node.nodeId,
      authorization: `Bearer ${node.agentToken}`,
      address: connection.socket.handshake.address,
      onHangUp: () => {},
    };
    try {
      this.#parts.handle(call);
      return { taskId: body.taskId };
    } catch (thrown) {
      if (!(thrown instanceof HttpError)) throw thrown;
      blame(call, thrown, this.#parts.tasks, this.#parts.violate);
      throw new Refusal(thrown.message, false);
    }
  }
}
