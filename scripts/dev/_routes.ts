import type * as z from "@zod/zod";
import type { AgentUpdates } from "./_agent_updates.ts";
import { HttpError } from "./_http_error.ts";
import { nowMs } from "./_ledger.ts";
import { problemOfLogScan } from "./_log_scan_rules.ts";
import type { Node, Nodes } from "./_nodes.ts";
import type { ControlPlaneOptions } from "./_options.ts";
import {
  claimBody,
  type CompletedBody,
  completedBody,
  consumeBody,
  heartbeatBody,
  initiateBody,
  locatedConsumeBody,
  logBody,
  parseBody,
  progressBody,
  RefusedLocations,
  STORED_OUTPUT_UNITS,
  transitionBody,
  unstorable,
  updateProgressBody,
} from "./_rules.ts";
import type { Task, TaskLog } from "./_task.ts";
import type { Tasks } from "./_tasks.ts";
import { checkColumns, iso, wire, WORKSPACE_ID } from "./_wire.ts";

/** A request as the routes see it. */
export interface Call {
  readonly method: string;
  /** The whole path with its query. */
  readonly path: string;
  /** The path below `/api/v1` without its query; empty for other paths. */
  readonly route: string;
  readonly body: unknown;
  readonly nodeId: string | undefined;
  readonly authorization: string | undefined;
  /** The caller's address, for the rate limit. */
  readonly address: string;
  /** Has the function called when the caller hangs up. */
  onHangUp(hungUp: () => void): void;
}

/** What is answered. */
export interface Answer {
  status: number;
  body: unknown;
}

const TASK_ROUTE = /^\/agent\/tasks\/([^/]+)\/(accepted|started|logs|completed|control)$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** The task id and the call of a task route; undefined for other routes. */
export function taskRoute(route: string): { taskId: string; call: string } | undefined {
  const [, taskId, call] = TASK_ROUTE.exec(route) ?? [];
  return taskId && call ? { taskId, call } : undefined;
}

/** The agent-facing routes of the contract. */
export class Routes {
  readonly #options: ControlPlaneOptions;
  readonly #nodes: Nodes;
  readonly #tasks: Tasks;
  readonly #updates: AgentUpdates;
  readonly #violate: (sentence: string) => void;
  readonly #seen: (node: Node) => void;
  readonly #refusedLocations = new RefusedLocations();
  readonly #limits = new Map<string, { count: number; resetAt: number }>();

  /** `violate` is told each breach that is answered with 2xx; `seen` that a node is alive. */
  constructor(
    options: ControlPlaneOptions,
    nodes: Nodes,
    tasks: Tasks,
    updates: AgentUpdates,
    violate: (sentence: string) => void,
    seen: (node: Node) => void,
  ) {
    this.#options = options;
    this.#nodes = nodes;
    this.#tasks = tasks;
    this.#updates = updates;
    this.#violate = violate;
    this.#seen = seen;
  }

  /** Answers a call; throws {@linkcode HttpError} for a refusal. */
  handle(call: Call): Answer | Promise<Answer> {
    const { method, route } = call;
    const task = taskRoute(route);
    if (task) return this.#taskCall(call, task.taskId, task.call);
    if (method === "POST" && route === "/agent/tasks/claim") return this.#claim(call);
    if (method === "POST" && route === "/agent/heartbeat") return this.#heartbeat(call);
    if (method === "POST" && route === "/enrollments/initiate") return this.#initiate(call);
    if (method === "POST" && route === "/node-installs/consume") return this.#consume(call);
    if (method === "POST" && route === "/node-installs/progress") return this.#progress(call);
    const [, targetId] = /^\/agent-updates\/targets\/([^/]+)\/progress$/.exec(route) ?? [];
    if (method === "POST" && targetId) return this.#updateProgress(call, targetId);
    const [, token] = /^\/enrollments\/([^/]+)$/.exec(route) ?? [];
    if (method === "GET" && token) return this.#enrollment(call, decodeURIComponent(token));
    throw noSuchRoute(call);
  }

  #initiate(call: Call): Answer {
    this.#limit(call, "initiate");
    const { email, hostname, additionalInfo } = this.#parse(initiateBody, call);
    checkColumns({ ...additionalInfo, hostname });
    const enrollment = this.#nodes.initiate(email, hostname, additionalInfo ?? {});
    return { status: 201, body: { token: enrollment.token, expiresAt: iso(enrollment.expiresAt) } };
  }

  #enrollment(call: Call, token: string): Answer {
    this.#limit(call, "status");
    const { status, node } = this.#nodes.enrollment(token);
    const credentials = { nodeId: node?.nodeId, agentToken: node?.agentToken };
    return { status: 200, body: { status, ...(status === "approved" ? credentials : {}) } };
  }

  #consume(call: Call): Answer {
    this.#limit(call, "consume");
    const schema = this.#options.takesLocation ? locatedConsumeBody : consumeBody;
    const parse = () => this.#parse<z.infer<typeof locatedConsumeBody>>(schema, call);
    const sender = JSON.stringify(call.body).slice(0, 1_000);
    const { token, hostname, additionalInfo } = this.#refusedLocations.judge(sender, parse);
    checkColumns({ ...additionalInfo, hostname });
    const { nodeId, agentToken } = this.#nodes.consume(token, hostname, additionalInfo ?? {});
    return { status: 201, body: { nodeId, agentToken } };
  }

  #progress(call: Call): Answer {
    this.#limit(call, "progress");
    const body = this.#parse(progressBody, call);
    const install = this.#nodes.install(body.token);
    install.stage = body.stage;
    install.status = body.status ?? "installing";
    install.progressPercent = body.progressPercent ?? install.progressPercent;
    install.statusMessage = body.statusMessage ?? install.statusMessage;
    install.updatedAt = nowMs();
    install.startedAt ??= install.updatedAt;
    const { token: _token, node, ...shown } = install;
    return {
      status: 200,
      body: {
        ...shown,
        workspaceId: WORKSPACE_ID,
        teamId: null,
        description: null,
        hostname: node?.hostname ?? null,
        nodeId: node?.nodeId ?? null,
        startedAt: iso(install.startedAt),
        consumedAt: iso(install.consumedAt),
        expiresAt: iso(install.expiresAt),
        createdAt: iso(install.createdAt),
        updatedAt: iso(install.updatedAt),
      },
    };
  }

  #updateProgress(call: Call, targetId: string): Answer {
    const node = this.#authenticate(call);
    const body = this.#parse(updateProgressBody, call);
    return { status: 200, body: this.#updates.progress(targetId, node, body) };
  }

  #heartbeat(call: Call): Answer {
    this.#limit(call, "heartbeat");
    const node = this.#authenticate(call);
    const body = this.#parse(heartbeatBody, call);
    if (this.#nodes.authenticate(body.nodeId, body.agentToken) !== node) {
      throw new HttpError(401, "Invalid agent credentials");
    }
    checkColumns(body);
    node.agentVersion = body.agentVersion ?? node.agentVersion;
    node.platformVersion = body.platformVersion ?? node.platformVersion;
    node.kernelVersion = body.kernelVersion ?? node.kernelVersion;
    this.#seen(node);
    this.#updates.onHeartbeat(node);
    return {
      status: 200,
      body: {
        acknowledged: true,
        nodeId: node.nodeId,
        status: "online",
        lastSeenAt: iso(nowMs()),
      },
    };
  }

  async #claim(call: Call): Promise<Answer> {
    const node = this.#authenticate(call);
    const body = this.#parse(claimBody, call);
    if (body.rootAccess) node.appliedRootAccess = body.rootAccess;
    const task = await this.#tasks.claim(node.nodeId, body.waitMs ?? 15_000, call.onHangUp);
    return {
      status: 200,
      body: { task: task ? wire(task) : null, outputTruncated: false, rootAccess: node.rootAccess },
    };
  }

  #taskCall(call: Call, taskId: string, name: string): Answer {
    if (call.method !== (name === "control" ? "GET" : "POST")) throw noSuchRoute(call);
    const node = this.#authenticate(call);
    if (!UUID.test(taskId)) throw new HttpError(400, "Validation failed (uuid is expected)");
    switch (name) {
      case "accepted":
        return this.#accepted(call, node, taskId);
      case "started":
        return this.#started(call, node, taskId);
      case "logs":
        return this.#log(call, node, taskId);
      case "completed":
        return this.#completed(call, node, taskId);
      default:
        return this.#control(this.#task(node, taskId, undefined));
    }
  }

  #accepted(call: Call, node: Node, taskId: string): Answer {
    const body = this.#parse(transitionBody, call);
    const task = this.#task(node, taskId, body.taskId);
    const changed = this.#tasks.accept(task);
    if (!changed) return { status: 200, body: { ok: true, duplicate: true, taskId } };
    // The platform answers with the entry that it has made of it.
    const createdAt = iso(nowMs());
    const entry = { id: crypto.randomUUID(), taskId, level: "info", message: "Task accepted" };
    return { status: 200, body: { ...entry, timestamp: createdAt, createdAt } };
  }

  #started(call: Call, node: Node, taskId: string): Answer {
    const body = this.#parse(transitionBody, call);
    const task = this.#task(node, taskId, body.taskId);
    if (body.timestamp) this.#violate(`task ${taskId}: "started" carried a timestamp`);
    this.#tasks.start(task, body.timestamp ?? undefined);
    return { status: 200, body: wire(task) };
  }

  #log(call: Call, node: Node, taskId: string): Answer {
    const body = this.#parse(logBody, call);
    const task = this.#task(node, taskId, body.taskId);
    const { stream, line } = body;
    const entry: TaskLog = {
      stream,
      line,
      timestamp: body.timestamp ?? undefined,
      receivedAt: nowMs(),
    };
    this.#tasks.log(task, entry);
    const level = ["stdout", "stderr", "error"].includes(stream) ? stream : "info";
    const createdAt = iso(entry.receivedAt);
    const timestamp = entry.timestamp ?? createdAt;
    return {
      status: 200,
      body: { id: crypto.randomUUID(), taskId, level, message: line, timestamp, createdAt },
    };
  }

  #completed(call: Call, node: Node, taskId: string): Answer {
    const body = this.#parse(completedBody, call);
    const task = this.#task(node, taskId, body.taskId);
    const { result, output } = body;
    const lost = (["exitCode", "error", "durationMs"] as const).filter((name) =>
      result && body[name] !== undefined && !(name in result)
    );
    if (lost.length > 0) {
      this.#violate(`task ${taskId}: "completed" has a result, which drops ${lost.join(", ")}`);
    }
    if (output && unstorable(output.slice(0, STORED_OUTPUT_UNITS)) && !unstorable(output)) {
      this.#violate(`task ${taskId}: the cut of "output" at 8000 units splits a surrogate pair`);
    }
    if (task.type === "log.scan") this.#checkLogScan(task, body);
    this.#tasks.complete(task, body);
    return { status: 200, body: wire(task) };
  }

  /** The console shows the result of a scan, or the output of one that failed. */
  #checkLogScan({ id }: Task, { status, result, output }: CompletedBody): void {
    const problem = status === "success"
      ? problemOfLogScan(result)
      : status === "failed" && !output
      ? "a log.scan that failed has no output, which is what is shown"
      : undefined;
    if (problem) this.#violate(`task ${id}: ${problem}`);
  }

  #control(task: Task): Answer {
    return {
      status: 200,
      body: {
        taskId: task.id,
        status: task.status,
        cancelRequested: task.status === "running" && task.cancelRequestedAt !== undefined,
        cancelRequestedAt: iso(task.cancelRequestedAt),
        cancelReason: task.cancelReason ?? null,
      },
    };
  }

  #authenticate(call: Call): Node {
    const [, token] = /^Bearer (.+)$/.exec(call.authorization ?? "") ?? [];
    if (!token || !call.nodeId) {
      throw new HttpError(
        401,
        "x-agent-node-id and Authorization: Bearer <agent-token> are required",
      );
    }
    return this.#nodes.authenticate(call.nodeId, token);
  }

  #task(node: Node, taskId: string, inBody: string | null | undefined): Task {
    if (inBody && inBody !== taskId) {
      throw new HttpError(400, "taskId in the body must match the route taskId");
    }
    const task = this.#tasks.get(taskId);
    if (task?.nodeId !== node.nodeId) throw new HttpError(404, "Task not found for this node");
    return task;
  }

  #parse<T>(schema: z.ZodType<T>, call: Call): T {
    const body = parseBody(schema, call.body);
    for (const [name, value] of Object.entries(call.body ?? {})) {
      if (value === null) {
        this.#violate(`${call.method} ${call.route}: "${name}" is null instead of left out`);
      }
    }
    return body;
  }

  /** 100 requests a minute for each address and route. */
  #limit(call: Call, name: string): void {
    if (!this.#options.rateLimits) return;
    const key = `${call.address} ${name}`;
    const now = nowMs();
    const known = this.#limits.get(key);
    const limit = known && known.resetAt > now ? known : { count: 0, resetAt: now + 60_000 };
    this.#limits.set(key, limit);
    if (++limit.count > 100) throw new HttpError(429, "ThrottlerException: Too Many Requests");
  }
}

function noSuchRoute(call: Call): HttpError {
  return new HttpError(404, `Cannot ${call.method} ${call.path}`);
}
