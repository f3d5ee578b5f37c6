import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { delay } from "@std/async";
import { readJson, reset, send } from "./_exchange.ts";
import type { FaultPlan, Faults } from "./_faults.ts";
import { errorBody, HttpError, internalError } from "./_http_error.ts";
import { type Flight, type Flights, nowMs, type RequestRecord, type Waits } from "./_ledger.ts";
import type { ControlPlaneOptions } from "./_options.ts";
import { type Answer, type Call, taskRoute } from "./_routes.ts";

const BASE = "/api/v1";

/**
 * The ports to choose from: those below the ones that systems give to whoever names none. A server
 * that is down for a while loses its port to nobody then, and nobody connects to it from itself.
 */
const [FIRST_PORT, PORTS] = [10_000, 20_000];
/** So often a port is tried. */
const MAX_TRIES = 300;

/** What the server works with. */
export interface ServerParts {
  readonly options: ControlPlaneOptions;
  readonly faults: Faults;
  readonly flights: Flights;
  readonly waits: Waits;
  /** Every request is added at the end. */
  readonly requests: RequestRecord[];
  /** Answers a call or throws {@linkcode HttpError}. */
  handle(call: Call): Answer | Promise<Answer>;
  /** Takes a WebSocket upgrade over. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void;
  /** Is told of each refusal. */
  refused(call: Call, error: HttpError): void;
}

/** One request on its way through. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly record: RequestRecord;
  readonly flight: Flight | undefined;
  /** Aborted when the server goes down. */
  readonly signal: AbortSignal;
}

/** The HTTP server: records, injects faults, answers, and can go down and come up again. */
export class ControlPlaneServer {
  /** The same over stop and start. */
  readonly http: Server;
  readonly #parts: ServerParts;
  readonly #sockets = new Set<Socket>();
  #up = new AbortController();
  #port = 0;

  /** Makes one that does not listen yet. */
  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.http = createServer((request, response) => void this.#serve(request, response));
    this.http.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket, head));
    // node:http adds a second of its own to what it is told.
    this.http.keepAliveTimeout = Math.max(1, parts.options.keepAliveMs - 1000);
    this.http.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  /** The port, kept over stop and start. */
  get port(): number {
    return this.#port;
  }

  /** Listens on 127.0.0.1. */
  async start(): Promise<void> {
    const { http } = this;
    if (http.listening) return;
    this.#up = new AbortController();
    const wanted = this.#port || this.#parts.options.port;
    for (let tries = 0;; tries++) {
      const port = wanted || FIRST_PORT + Math.floor(Math.random() * PORTS);
      try {
        await listen(http, port);
        this.#port = port;
        return;
      } catch (error) {
        const isTaken = Error.isError(error) && "code" in error && error.code === "EADDRINUSE";
        if (!isTaken || tries === MAX_TRIES) throw error;
        // Who has taken a port meanwhile may let go of it.
        if (this.#port) await delay(100);
        else if (wanted) throw error;
      }
    }
  }

  /** Resets all connections and stops listening. */
  async stop(): Promise<void> {
    if (!this.http.listening) return;
    const closed = new Promise<void>((resolve) => this.http.close(() => resolve()));
    this.#up.abort();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const record = this.#record(request);
    const exchange = {
      request,
      response,
      record,
      flight: this.#fly(record),
      signal: this.#up.signal,
    };
    response.on("close", () => this.#end(exchange, "gone"));
    try {
      await this.#exchange(exchange);
    } catch (thrown) {
      // A caller that is gone, or the server going down, ends an exchange anywhere.
      if (!exchange.signal.aborted && !request.destroyed) throw thrown;
    }
  }

  /** Upgrades are recorded and take the faults that need no body. */
  async #upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): Promise<void> {
    // node:http listens to it no longer; whoever takes it over does so later, or never.
    socket.on("error", () => socket.destroy());
    const record = this.#record(request);
    const plan = this.#parts.faults.take(record);
    this.#parts.waits.touched();
    const { signal } = this.#up;
    if (plan?.latencyMs) await delay(plan.latencyMs, { signal }).catch(() => {});
    if (plan?.hang) return void (record.outcome = "hung");
    record.outcome = plan?.reset || signal.aborted ? "reset" : "answered";
    record.endedAt = nowMs();
    if (record.outcome === "reset") {
      request.socket.resetAndDestroy();
    } else if (plan?.status !== undefined) {
      record.status = plan.status;
      socket.end(`HTTP/1.1 ${plan.status} injected fault\r\nContent-Length: 0\r\n\r\n`);
    } else {
      record.status = 101;
      this.#parts.upgrade(request, socket, head);
    }
    this.#parts.waits.touched();
  }

  #record({ method = "GET", url = "/", headers }: IncomingMessage): RequestRecord {
    const taskId = taskRoute(routeOf(url))?.taskId;
    const record: RequestRecord = {
      method,
      path: url,
      at: nowMs(),
      outcome: "pending",
      body: undefined,
      headers: {
        authorization: headers.authorization,
        "content-type": headers["content-type"],
        "user-agent": headers["user-agent"],
        "x-agent-node-id": headers["x-agent-node-id"]?.toString(),
      },
      ...(taskId ? { taskId } : {}),
    };
    const { requests, options: { maxRequests } } = this.#parts;
    requests.push(record);
    if (requests.length > 2 * maxRequests) requests.splice(0, maxRequests);
    return record;
  }

  #fly(record: RequestRecord): Flight | undefined {
    if (record.method !== "POST") return undefined;
    const { flights } = this.#parts;
    const route = routeOf(record.path);
    const task = taskRoute(route);
    if (task) return flights.enter(`task ${task.taskId}`, task.call, `task ${task.taskId}`);
    const nodeId = record.headers["x-agent-node-id"];
    if (route !== "/agent/tasks/claim" || !nodeId) return undefined;
    return flights.enter(`claim ${nodeId}`, "claim", `node ${nodeId}`);
  }

  /** Closes the book on a request, the first time it is called. */
  #end({ record, flight }: Exchange, outcome: RequestRecord["outcome"], status?: number): void {
    if (record.endedAt !== undefined) return;
    record.outcome = record.outcome === "hung" ? "hung" : outcome;
    record.endedAt = nowMs();
    if (status !== undefined) record.status = status;
    if (flight) this.#parts.flights.leave(flight, outcome === "gone" ? "gone" : "answered");
    this.#parts.waits.touched();
  }

  async #exchange(exchange: Exchange): Promise<void> {
    const { request, record, signal } = exchange;
    let refusal: HttpError | undefined;
    try {
      record.body = await readJson(request);
    } catch (thrown) {
      if (!(thrown instanceof HttpError)) throw thrown;
      refusal = thrown;
    }
    const plan = this.#parts.faults.take(record);
    this.#parts.waits.touched();
    if (plan?.latencyMs) await delay(plan.latencyMs, { signal });
    if (plan?.hang === true) {
      record.outcome = "hung";
    } else if (plan?.reset === "before") {
      this.#reset(exchange);
    } else if (plan?.status !== undefined) {
      const error = errorBody(new HttpError(plan.status, "injected fault"), record.path);
      await this.#send(exchange, { status: plan.status, body: plan.body ?? error }, plan);
    } else {
      const answer = await this.#answer(exchange, refusal);
      if (!signal.aborted) await this.#reply(exchange, answer, plan);
    }
  }

  async #answer(exchange: Exchange, refusal: HttpError | undefined): Promise<Answer> {
    const { request, response, record } = exchange;
    const call: Call = {
      method: record.method,
      path: record.path,
      route: routeOf(record.path),
      body: record.body,
      nodeId: record.headers["x-agent-node-id"],
      authorization: record.headers.authorization,
      address: request.socket.remoteAddress ?? "",
      onHangUp: (hungUp) => response.on("close", hungUp),
    };
    try {
      if (refusal) throw refusal;
      return await this.#parts.handle(call);
    } catch (thrown) {
      const error = thrown instanceof HttpError ? thrown : internalError();
      this.#parts.refused(call, error);
      // Anything else is a mistake of this program: let it be seen.
      if (error !== thrown) reportError(thrown);
      return { status: error.statusCode, body: errorBody(error, record.path) };
    }
  }

  async #reply(exchange: Exchange, answer: Answer, plan: FaultPlan | undefined): Promise<void> {
    if (plan?.hang === "after") {
      exchange.record.outcome = "hung";
    } else if (plan?.reset === "after") {
      this.#reset(exchange);
    } else {
      const body = plan?.badJson ? `{"ok": tru` : answer.body;
      await this.#send(exchange, { status: answer.status, body }, plan);
    }
  }

  #reset(exchange: Exchange): void {
    this.#end(exchange, "reset");
    reset(exchange.response);
  }

  async #send(exchange: Exchange, answer: Answer, plan: FaultPlan | undefined): Promise<void> {
    const { status, body } = answer;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    // The book is closed first: the caller's next request may arrive before this turn is over.
    if (!plan?.drip) this.#end(exchange, "answered", status);
    await send(exchange.response, status, text, exchange.signal, plan);
    if (!exchange.response.destroyed) this.#end(exchange, "answered", status);
  }
}

/** Has a server listen on a port of this machine. */
function listen(http: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once("error", reject);
    http.listen(port, "127.0.0.1", () => {
      http.off("error", reject);
      resolve();
    });
  });
}

/** The path below `/api/v1` without its query; empty for other paths. */
function routeOf(url: string): string {
  const [path = ""] = url.split("?", 1);
  return path.startsWith(`${BASE}/`) ? path.slice(BASE.length) : "";
}
