import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type ServerResponse,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type Namespace, Server, type Socket } from "socket.io";

/** What the tests' node is called. */
export const IDENTITY = { nodeId: "node-1", agentToken: "the-secret-token" };

/** An event that the server got. */
export interface Received {
  /** Its name. */
  event: string;
  /** What it carried. */
  payload: Record<string, unknown>;
}

/** How a {@linkcode TestServer} is started. */
export interface TestServerOptions {
  /** Any free one unless given. */
  port?: number;
  /** `/agent-realtime` unless given. */
  namespace?: string;
  /** `/socket.io/` unless given. */
  path?: string;
  /** PEM texts; plain http without. */
  tls?: { cert: string; key: string };
}

/** A real Socket.IO server that speaks the agents' part of the contract. */
export class TestServer implements AsyncDisposable {
  readonly #http: HttpServer;
  /** All of it. */
  readonly io: Server;
  /** The agents' namespace. */
  readonly agents: Namespace;
  /** Every event, authentications included, oldest first. */
  readonly received: Received[] = [];
  /** The payload of the next `agent.auth.ack` beside `authenticated`; `undefined`: no answer. */
  authAnswer: Record<string, unknown> | undefined = { nodeId: IDENTITY.nodeId };
  /** What is done with an authentication that carries a location. */
  onLocation: (socket: Socket) => void = () => {};
  /** Answers an event; `undefined`: not at all. */
  acknowledge: (event: string) => unknown = () => ({ ok: true });
  #waiting: { fits: () => boolean; resolve: () => void }[] = [];

  private constructor(options: TestServerOptions) {
    const { tls, namespace = "/agent-realtime", path = "/socket.io/" } = options;
    const notFound = (_request: unknown, response: ServerResponse) => {
      response.writeHead(404, { "content-type": "application/json" }).end('{"message":"no route"}');
    };
    this.#http = tls ? createHttpsServer(tls, notFound) : createHttpServer(notFound);
    this.io = new Server(this.#http, { path });
    this.agents = this.io.of(namespace);
    this.agents.on("connection", (socket) => this.#serve(socket));
  }

  /** Starts one on this machine. */
  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    const server = new TestServer(options);
    const { port = 0 } = options;
    await new Promise<void>((resolve, reject) => {
      let tries = 0;
      const listen = () => server.#http.listen(port, "127.0.0.1");
      server.#http.on("error", (error: Error & { code?: string }) => {
        // Who has been given a port that was free meanwhile may let go of it.
        if (error.code === "EADDRINUSE" && tries++ < 300) setTimeout(listen, 100);
        else reject(error);
      });
      server.#http.once("listening", resolve);
      listen();
    });
    return server;
  }

  /** Where it listens. */
  get port(): number {
    const address = this.#http.address();
    if (address === null || typeof address === "string") throw new Error("not listening");
    return address.port;
  }

  /** The api_url of an agent. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The payloads of one event. */
  payloads(event: string): Record<string, unknown>[] {
    return this.received.filter((each) => each.event === event).map(({ payload }) => payload);
  }

  /** Resolves when `fits` does, which is looked at with each event. */
  until(fits: () => boolean): Promise<void> {
    if (fits()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ fits, resolve }));
  }

  /** Ends every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.io.close();
  }

  #serve(socket: Socket): void {
    socket.onAny(
      (event: string, payload: Record<string, unknown>, answer?: (ack: unknown) => void) => {
        if (event === "agent.auth") this.#authenticate(socket, payload);
        else if (answer) {
          const ack = this.acknowledge(event);
          if (ack !== undefined) answer(ack);
        }
        this.received.push({ event, payload });
        this.#waiting = this.#waiting.filter(({ fits, resolve }) => {
          if (!fits()) return true;
          resolve();
          return false;
        });
      },
    );
  }

  #authenticate(socket: Socket, payload: Record<string, unknown>): void {
    if (payload.location) this.onLocation(socket);
    if (!socket.connected) return;
    if (payload.agentToken !== IDENTITY.agentToken) {
      socket.emit("agent.auth.error", { message: "Invalid agent credentials" });
      socket.disconnect(true);
    } else if (this.authAnswer) {
      socket.emit("agent.auth.ack", { authenticated: true, ...this.authAnswer });
    }
  }
}
