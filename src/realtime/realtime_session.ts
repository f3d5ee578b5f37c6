import { abortable } from "@std/async";
import { Backoff } from "../system/backoff.ts";
import { Pauses } from "../control_plane/reachability.ts";
import { messageOf } from "../system/user_error.ts";
import { Connection, type SocketIo } from "./connection.ts";
import { endpointOf } from "./transport.ts";
import type { AuthAck } from "./events.ts";
import { dialFailure, RealtimeFailure } from "./failures.ts";
import { Inbox } from "./inbox.ts";
import {
  type Ack,
  LinkDroppedError,
  type RealtimeLink,
  type RealtimeSnapshot,
} from "./realtime_link.ts";
import { LogThrottle } from "../system/log_throttle.ts";
import type { RealtimeOptions } from "./realtime_options.ts";
import { isPressed, Outbox } from "./outbox.ts";
import { keepAlive } from "./ping.ts";
import { probeSocket } from "./probe_socket.ts";
import { SHARED_IDENTITY, SHARED_IDENTITY_FIX, Takeovers } from "./takeovers.ts";

const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;
/** Refused credentials are asked about less often, as with a claim. */
const MAX_REFUSED_PAUSE_MS = 60_000;
/** A session that lived so long was a good one. */
const GOOD_MS = 60_000;

/** The realtime session: it is opened again whenever it ends, until it is disposed. */
export class RealtimeSession implements RealtimeLink, AsyncDisposable {
  readonly #options: RealtimeOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #running: Promise<void>;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #pace: Backoff;
  readonly #refusedPace: Backoff;
  readonly #takeovers: Takeovers;
  readonly #throttle = new LogThrottle();
  readonly #waiting = new Set<PromiseWithResolvers<void>>();
  #connection: Connection | undefined;
  /** What is sent on this connection, see {@linkcode RealtimeOptions.location}. */
  #location: Record<string, unknown> | undefined;
  #isLocationDoubted = false;
  #now: RealtimeSnapshot = { connected: false, sinceMs: performance.now() };

  /** Begins to connect at once. */
  constructor(options: RealtimeOptions) {
    this.#options = options;
    const { config, handlers, logger, signal, random = Math.random } = options;
    this.#signal = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal;
    this.#inbox = new Inbox(handlers, logger);
    this.#outbox = new Outbox(() => config().realtimeQueueSize);
    // The setting is the part of a pause that is left to chance: 0 none of it, 1 all of it.
    const jitter = () => 1 - config().realtimeBackoffJitter * random();
    const pace = (maxMs: number) => new Backoff({ firstMs: FIRST_PAUSE_MS, maxMs, random: jitter });
    this.#pace = pace(MAX_PAUSE_MS);
    this.#refusedPace = pace(MAX_REFUSED_PAUSE_MS);
    this.#takeovers = new Takeovers(random);
    this.#running = this.#run();
  }

  /** How the session is. */
  get now(): Readonly<RealtimeSnapshot> {
    return { ...this.#now, ...(this.#takeovers.isShared ? { shared: true } : {}) };
  }

  /** See {@linkcode RealtimeLink.ready}. */
  get ready(): boolean {
    return this.#connection?.ready ?? false;
  }

  /** See {@linkcode RealtimeLink.acknowledges}. */
  get acknowledges(): boolean | undefined {
    return this.#connection?.acknowledges;
  }

  /** See {@linkcode RealtimeLink.whenReady}; rejects as well when the session is disposed. */
  async whenReady(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#signal.throwIfAborted();
    if (this.ready) return;
    const wait = Promise.withResolvers<void>();
    this.#waiting.add(wait);
    try {
      await (signal ? abortable(wait.promise, signal) : wait.promise);
    } finally {
      this.#waiting.delete(wait);
    }
  }

  /** See {@linkcode RealtimeLink.request}; the payload's `type` is added where it is missing. */
  async request(event: string, payload: Record<string, unknown>, timeoutMs: number): Promise<Ack> {
    if (!this.#connection) throw new LinkDroppedError(`${event}: there is no session`);
    return await this.#connection.request(event, { type: event, ...payload }, timeoutMs);
  }

  /** See {@linkcode RealtimeLink.emit}; the payload's `type` is added where it is missing. */
  emit(event: string, payload: Record<string, unknown>): boolean {
    if (event === "terminal.output" && isPressed(this.#connection)) return false;
    const kept = this.#outbox.add({ event, payload: { type: event, ...payload } });
    if (kept) this.#flush();
    else if (this.#throttle.allows("queue")) {
      this.#options.logger.warn("realtime queue is full", { event });
    }
    return kept;
  }

  /** See {@linkcode RealtimeLink.emitMetrics}; who the node is, and its version, are added here. */
  emitMetrics(payload: Record<string, unknown>): void {
    const { identity, facts } = this.#options;
    const event = "agent.metrics";
    const { agentVersion } = facts;
    this.#outbox.keepMetrics({
      event,
      payload: { type: event, ...identity, agentVersion, ...payload },
    });
    this.#flush();
  }

  /** Tells who this node is once more on the connection that is there, with what has changed. */
  authenticateAgain(): void {
    if (this.#connection?.ready) this.#connection.send("agent.auth", this.#auth());
  }

  /** Closes the session for good. What still waits in it is lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new LinkDroppedError("the realtime session is closed"));
    await this.#running;
  }

  async #run(): Promise<void> {
    const signal = this.#signal;
    const { reachability } = this.#options.network;
    const pauses = new Pauses(reachability);
    try {
      const [io] = await Promise.all([import("socket.io-client"), this.#probe()]);
      while (true) {
        const pauseMs = await this.#serve(io);
        // Where HTTP is answered, and this is not, an answer says nothing about this.
        const soonestMs = (vain: number) => vain === 0 && reachability.isLost ? 0 : pauseMs;
        await pauses.wait(pauseMs, soonestMs, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      const problem = messageOf(error);
      this.#now = { ...this.#now, connected: false, problem };
      this.#options.logger.error("realtime cannot be used", { error: problem });
      this.#stop.abort(new LinkDroppedError("realtime cannot be used", { cause: error }));
    } finally {
      for (const wait of this.#waiting) wait.reject(signal.reason);
    }
  }

  /** Only warns: what is in between may treat the two requests differently. */
  async #probe(): Promise<void> {
    const { network, config, logger } = this.#options;
    const problem = await this.#whatAilsHttp();
    if (!problem || this.#signal.aborted) return;
    logger.warn("realtime health check failed", {
      url: network.apiUrl + config().realtimePath,
      problem,
      check: "api_url, realtime_path, and whether the control plane runs",
    });
  }

  #whatAilsHttp(): Promise<string | undefined> {
    const { network, config } = this.#options;
    return probeSocket(network, config().realtimePath, this.#signal);
  }

  /** One connection from its dialling to its end; gives the pause after it, in milliseconds. */
  async #serve(io: SocketIo): Promise<number> {
    const { network, config, logger, location } = this.#options;
    const startedMs = performance.now();
    try {
      await using connection = new Connection({
        io,
        endpoint: endpointOf(network.apiUrl, config().realtimePath),
        namespace: config().realtimeNamespace,
        client: network.client,
        onEvent: (event, payload) => this.#inbox.take(event, payload),
      });
      this.#connection = connection;
      this.#location = this.#isLocationDoubted ? undefined : await location?.current();
      const ack = await connection.open(this.#auth(), this.#signal);
      if (this.#isLocationDoubted) location?.refused();
      this.#isLocationDoubted = false;
      network.reachability.connected();
      logger.info("realtime session is up", { tookMs: Math.round(performance.now() - startedMs) });
      return await this.#live(connection, ack);
    } catch (error) {
      if (this.#signal.aborted) throw error;
      const failure = error instanceof RealtimeFailure ? error : dialFailure(error);
      const isRefused = failure.failure === "auth message refused";
      // The location may be to blame, also where that is not said: the next try goes without it.
      this.#isLocationDoubted = !!this.#location && failure.isAnswer;
      if (this.#isLocationDoubted && isRefused) return 0;
      return await this.#failed(failure);
    } finally {
      this.#connection = undefined;
    }
  }

  /** The payload of `agent.auth`. */
  #auth(): Record<string, unknown> {
    const { identity, facts, rootAccess } = this.#options;
    const { agentVersion, platformVersion, kernelVersion } = facts;
    const applied = rootAccess?.();
    return {
      type: "agent.auth",
      ...identity,
      agentVersion,
      platformVersion,
      kernelVersion,
      ...(applied ? { rootAccess: applied } : {}),
      ...(this.#location ? { location: this.#location } : {}),
    };
  }

  /** An authenticated connection until its end; gives the pause after it, in milliseconds. */
  async #live(connection: Connection, { rootAccess }: AuthAck): Promise<number> {
    const { config, logger, onReady, network } = this.#options;
    const upMs = performance.now();
    this.#now = { connected: true, sinceMs: upMs };
    this.#throttle.reset();
    this.#refusedPace.reset();
    const end = (reason: string) => void connection.close(reason);
    const onAbort = () => end("the agent ended it");
    this.#signal.addEventListener("abort", onAbort);
    const pings = new AbortController();
    connection.ended.then(() => pings.abort());
    let reason: string;
    let turnMs: number | undefined;
    try {
      if (rootAccess) this.#inbox.rootAccess(rootAccess);
      this.#flush();
      for (const wait of this.#waiting) wait.resolve();
      onReady?.();
      const pinging = keepAlive({
        connection,
        intervalMs: () => config().realtimePingIntervalMs,
        onDead: end,
        logger,
        signal: pings.signal,
      });
      [reason] = await Promise.all([connection.ended, pinging]);
    } finally {
      pings.abort();
      turnMs = network.reachability.dropped();
      this.#signal.removeEventListener("abort", onAbort);
      this.#outbox.linkDropped();
    }
    const sinceMs = performance.now();
    this.#now = { connected: false, sinceMs, problem: reason };
    const livedMs = sinceMs - upMs;
    if (livedMs >= GOOD_MS) this.#pace.reset();
    const sharedPauseMs = this.#takeovers.ended(reason, livedMs);
    // The turn comes on top: of all who have it within the own pause none may come at its end.
    const waitMs = this.#isInUse ? 0 : network.reachability.untilMs(turnMs);
    const pauseMs = sharedPauseMs ?? this.#pace.next() + waitMs;
    if (this.#signal.aborted) return pauseMs;
    const seconds = Math.round(livedMs / 1_000);
    logger.warn("realtime session ended", { reason, seconds, retryInMs: pauseMs });
    if (sharedPauseMs !== undefined) {
      this.#now = { ...this.#now, problem: SHARED_IDENTITY };
      logger.error("realtime session is taken over", {
        error: SHARED_IDENTITY,
        fix: SHARED_IDENTITY_FIX,
        retryInMs: pauseMs,
      });
    }
    return pauseMs;
  }

  /** Whether somebody is kept waiting: then the session is not left for its turn. */
  get #isInUse(): boolean {
    return this.#options.isInUse?.() || !this.#outbox.isEmpty;
  }

  /** Tells what failed, beyond debug at first and once a minute; gives the pause in milliseconds. */
  async #failed({ failure, message, check }: RealtimeFailure): Promise<number> {
    const { reachability } = this.#options.network;
    const refused = failure === "auth error";
    this.#now = { ...this.#now, problem: `${failure}: ${message}` };
    const level = !this.#throttle.allows(failure) ? "debug" : refused ? "error" : "warn";
    // A WebSocket says little, or what its second try with another protocol met.
    const isVague = level !== "debug" && /handshake|dial/.test(failure);
    const overHttp = isVague ? await this.#whatAilsHttp() : undefined;
    const cause = overHttp ? `${message}; over HTTP: ${overHttp}` : message;
    const ownPauseMs = (refused ? this.#refusedPace : this.#pace).next();
    const waitMs = this.#isInUse ? 0 : reachability.untilMs(reachability.draw());
    const retryInMs = Math.max(ownPauseMs, waitMs);
    this.#options.logger[level]("realtime connection failed", { failure, cause, check, retryInMs });
    return retryInMs;
  }

  /** Sends what waits, if there is a session. */
  #flush(): void {
    const connection = this.#connection;
    if (connection?.ready) this.#outbox.flush(connection, this.#options.ackLimitMs);
  }
}
