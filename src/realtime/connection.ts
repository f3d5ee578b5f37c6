import type { Socket } from "socket.io-client";
import { isTimeout, pauseUntil, settlesWithin, within } from "../system/deadline.ts";
import { messageOf } from "../system/user_error.ts";
import { type Endpoint, nativeTransport } from "./transport.ts";
import { AuthAck, EventAck, Refusal } from "./events.ts";
import { dialFailure, RealtimeFailure } from "./failures.ts";
import { type Ack, LinkDroppedError, NoAckError } from "./realtime_link.ts";

/** The client's module: imported when it is needed, since commands that talk no realtime start quicker without. */
export type SocketIo = typeof import("socket.io-client");

/** How long each step may take: to dial, to join the namespace, to be authenticated. */
const STEP_LIMIT_MS = 10_000;
/** A peer that is gone never closes its half: it is waited for so long. */
const CLOSE_LIMIT_MS = 1_000;

/** So much later than its limit an acknowledgement is not expected any more, in milliseconds. */
const FORGET_MS = 10_000;

/** Socket.IO's reason where the server has ended the session on purpose, and not the network. */
const HUNG_UP = "io server disconnect";

/** What a {@linkcode Connection} is made of. */
export interface ConnectionOptions {
  /** The Socket.IO client. */
  io: SocketIo;
  /** Where the server is. */
  endpoint: Endpoint;
  /** The agents' namespace. */
  namespace: string;
  /** Shared with HTTP. */
  client: Deno.HttpClient;
  /** Gets each event that the server sends, other than those of the authentication. */
  onEvent: (event: string, payload: unknown) => void;
  /** The limit of each step, in milliseconds. */
  stepLimitMs?: number;
}

/** One Socket.IO connection, from its dialling to its end. It does not reconnect. */
export class Connection implements AsyncDisposable {
  /** Resolves, with the reason, when the connection has ended. */
  readonly ended: Promise<string>;
  /** When the server was last heard, by `performance.now()`. */
  heardAtMs: number = performance.now();
  /** Whether the node is authenticated on it now. */
  ready = false;
  /** See {@linkcode RealtimeLink.acknowledges}. */
  acknowledges: true | undefined;
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #end: (reason: string) => void;
  /** All that was sent before this moment, by `performance.now()`, has arrived. */
  #arrivedMs = -Infinity;
  /** When the server's last ping was answered: its next one shows that the answer has arrived. */
  #pongedMs = -Infinity;
  readonly #watchers = new Set<() => void>();
  #webSocket: WebSocket | undefined;
  #reason: string | undefined;

  /** Nothing is sent before {@linkcode Connection.open}. */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { io, endpoint, client, namespace } = options;
    ({ promise: this.ended, resolve: this.#end } = Promise.withResolvers<string>());
    const keep = (socket: WebSocket) => this.#webSocket = socket;
    const manager = new io.Manager(endpoint.origin, {
      path: endpoint.path,
      transports: [nativeTransport(io.WebSocket, client, keep)],
      autoConnect: false,
      reconnection: false,
    });
    this.#socket = manager.socket(namespace);
    this.#socket.on("disconnect", (reason) => {
      this.ready = false;
      this.#end(this.#reason ?? reason);
    });
    this.#socket.onAny((event: string, payload: unknown) => {
      const isOfAuth = event === "agent.auth.ack" || event === "agent.auth.error" ||
        (event === "agent.error" && !this.ready);
      if (!isOfAuth) options.onEvent(event, payload);
    });
  }

  /** Bytes that are sent but have not left this machine. */
  get bufferedBytes(): number {
    return this.#webSocket?.bufferedAmount ?? 0;
  }

  /**
   * Connects and authenticates with `auth`, the payload of `agent.auth`.
   *
   * @throws {RealtimeFailure} when a step fails or takes longer than 10 s, and the signal's reason.
   */
  async open(auth: Record<string, unknown>, signal: AbortSignal): Promise<AuthAck> {
    signal.throwIfAborted();
    const socket = this.#socket;
    const { promise: failed, reject } = Promise.withResolvers<never>();
    // Once it is open nobody waits for it any more.
    failed.catch(() => {});
    const [opened, joined] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { promise: authenticated, resolve } = Promise.withResolvers<AuthAck>();
    let fail: (cause: string, isAnswer?: boolean) => RealtimeFailure = dialFailure;
    const step = async <T>(failure: typeof fail, done: Promise<T>): Promise<T> => {
      const { stepLimitMs: limitMs = STEP_LIMIT_MS } = this.#options;
      fail = failure;
      try {
        return await within(Promise.race([done, failed]), limitMs, signal);
      } catch (error) {
        throw isTimeout(error) ? fail(`no answer within ${limitMs / 1_000} s`) : error;
      }
    };

    socket.io.once("error", (error) => reject(dialFailure(error)));
    socket.io.once("open", () => {
      socket.io.engine.on("packet", ({ type }: { type: string }) => {
        this.heardAtMs = performance.now();
        if (type !== "ping") return;
        this.#noteArrived(this.#pongedMs);
        this.#pongedMs = this.heardAtMs;
      });
      opened.resolve();
    });
    socket.once("connect_error", (error) => {
      reject(new RealtimeFailure("namespace connect failure", messageOf(error)));
    });
    socket.once("connect", joined.resolve);
    socket.once("agent.auth.error", (payload: unknown) => {
      reject(new RealtimeFailure("auth error", refusalOf(payload), { isAnswer: true }));
    });
    // Anything else that was sent is not refused before the authentication.
    socket.once("agent.error", (payload: unknown) => {
      if (this.ready) return;
      const cause = refusalOf(payload);
      reject(new RealtimeFailure("auth message refused", cause, { isAnswer: true }));
    });
    socket.once("agent.auth.ack", (payload: unknown) => {
      const ack = AuthAck.safeParse(payload);
      // At once, and not when the promise is: what follows may already be a terminal's event.
      this.ready = ack.success && ack.data.authenticated && ack.data.nodeId === auth.nodeId;
      if (ack.success && this.ready) resolve(ack.data);
      else reject(new RealtimeFailure("auth error", "the answer does not let this node in"));
    });
    socket.once("disconnect", (reason) => {
      reject(fail(`the connection ended (${reason})`, reason === HUNG_UP));
    });

    try {
      socket.connect();
      await step(dialFailure, opened.promise);
      const noNamespace = (cause: string) =>
        new RealtimeFailure("namespace connect failure", cause);
      await step(noNamespace, joined.promise);
      socket.emit("agent.auth", auth);
      const noAuth = (cause: string, isAnswer = false) =>
        new RealtimeFailure("auth error", cause, { isAnswer });
      return await step(noAuth, authenticated);
    } catch (error) {
      await this.close(messageOf(error));
      throw error;
    }
  }

  /** See {@linkcode RealtimeLink.request}. An answer that is not the contract's counts as none. */
  async request(event: string, payload: Record<string, unknown>, timeoutMs: number): Promise<Ack> {
    if (!this.ready) throw new LinkDroppedError(`${event}: there is no session`);
    const sentMs = performance.now();
    try {
      // Socket.IO's own limit would not look what has come: it only forgets what never comes.
      const answer = this.#socket.timeout(timeoutMs + FORGET_MS).emitWithAck(event, payload);
      const given = await within(answer, timeoutMs);
      const { data: ack } = EventAck.safeParse(given);
      if (ack && [undefined, payload.sessionId].includes(ack.sessionId)) {
        this.acknowledges = true;
        this.#noteArrived(sentMs);
        return ack;
      }
      await pauseUntil(this.ended, sentMs + timeoutMs - performance.now());
    } catch {
      // None has come.
    }
    if (!this.ready) throw new LinkDroppedError(`${event}: the session ended`);
    throw new NoAckError(`${event}: no acknowledgement within ${timeoutMs / 1_000} s`);
  }

  /**
   * Whether what was sent by `sentMs` has arrived, acknowledged or not: true as soon as something
   * that was sent later is answered, false when the connection ends before.
   */
  async arrived(sentMs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (this.#arrivedMs > sentMs) resolve();
    };
    this.#watchers.add(look);
    look();
    await Promise.race([promise, this.ended]);
    this.#watchers.delete(look);
    return this.#arrivedMs > sentMs;
  }

  #noteArrived(sentMs: number): void {
    this.#arrivedMs = Math.max(this.#arrivedMs, sentMs);
    for (const look of this.#watchers) look();
  }

  /** Sends an event without waiting. */
  send(event: string, payload: Record<string, unknown>): void {
    this.#socket.emit(event, payload);
  }

  /** Ends the connection, and waits a moment for the server to close its half. */
  async close(reason: string): Promise<void> {
    this.#reason ??= reason;
    const webSocket = this.#webSocket;
    const closed = Promise.withResolvers<void>();
    webSocket?.addEventListener("close", () => closed.resolve());
    this.#socket.disconnect();
    this.ready = false;
    this.#end(this.#reason);
    if (!webSocket || webSocket.readyState === WebSocket.CLOSED) return;
    await settlesWithin(closed.promise, CLOSE_LIMIT_MS);
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close("not needed any more");
  }
}

function refusalOf(payload: unknown): string {
  const refusal = Refusal.safeParse(payload);
  return refusal.success ? refusal.data.message : "no reason given";
}
