import { delay } from "@std/async";
import { io, type Socket } from "socket.io-client";
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from "./control_plane.ts";
import { PATIENCE_MS } from "./_ledger.ts";

type Json = Record<string, unknown>;

/** One real Socket.IO client, with what it received. */
export class TestSocket implements AsyncDisposable {
  readonly socket: Socket;
  /** Every event, as its name and its first argument. */
  readonly received: { event: string; payload: Json }[] = [];
  /** Why the socket was closed, if it was. */
  closed: string | undefined;

  /** Connects; `setUp` waits for that. */
  constructor(url: string) {
    this.socket = io(`${url}/agent-realtime`, {
      path: "/socket.io/",
      transports: ["websocket"],
      forceNew: true,
      reconnection: false,
    });
    this.socket.onAny((event: string, payload: Json) => this.received.push({ event, payload }));
    this.socket.on("disconnect", (reason) => this.closed = reason);
  }

  /** Sends an event with its type and resolves with the acknowledgement. */
  send(event: string, payload: Json = {}): Promise<Json> {
    return this.socket.timeout(PATIENCE_MS).emitWithAck(event, { type: event, ...payload });
  }

  /** What was received under a name. */
  got(event: string): Json[] {
    return this.received.filter((it) => it.event === event).map(({ payload }) => payload);
  }

  /** Closes the socket. */
  [Symbol.asyncDispose](): Promise<void> {
    const closed = Promise.withResolvers<void>();
    if (!this.socket.connected) closed.resolve();
    this.socket.io.engine.once("close", () => closed.resolve());
    this.socket.disconnect();
    return closed.promise;
  }
}

/** A control plane with one node, and sockets for it. */
export class RealtimeTest implements AsyncDisposable {
  readonly cp: ControlPlane;
  readonly node: { nodeId: string; agentToken: string };
  readonly #sockets: TestSocket[] = [];

  /** Makes one on a running control plane. */
  constructor(cp: ControlPlane) {
    this.cp = cp;
    this.node = cp.addNode({ hostname: "srv-01" });
  }

  /** A connected socket that has not authenticated. */
  async connect(): Promise<TestSocket> {
    const socket = new TestSocket(this.cp.url);
    this.#sockets.push(socket);
    await new Promise<void>((resolve, reject) => {
      socket.socket.on("connect", resolve);
      socket.socket.on("connect_error", reject);
    });
    return socket;
  }

  /** An authenticated socket. */
  async agent(): Promise<TestSocket> {
    const socket = await this.connect();
    const got = this.until(() => socket.got("agent.auth.ack").length > 0);
    // Older control planes acknowledge nothing: the event is what counts.
    socket.socket.emit("agent.auth", { type: "agent.auth", ...this.node });
    await got;
    return socket;
  }

  /** Resolves when the condition holds, looked at often: clients tell nobody of their changes. */
  async until(condition: () => boolean, what = `${condition}`): Promise<void> {
    const limit = performance.now() + PATIENCE_MS;
    while (!condition()) {
      if (performance.now() > limit) throw new Error(`waited in vain for ${what}`);
      await delay(2);
    }
  }

  /** Closes all. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) await socket[Symbol.asyncDispose]();
    await this.cp[Symbol.asyncDispose]();
  }
}

/** Starts a control plane with one node. */
export async function setUpRealtime(
  options: Partial<ControlPlaneOptions> = {},
): Promise<RealtimeTest> {
  return new RealtimeTest(await startControlPlane(options));
}

/** `terminal.output` with this text. */
export function output(sessionId: string, text: string): Json {
  return { sessionId, direction: "stdout", payload: new TextEncoder().encode(text).toBase64() };
}
