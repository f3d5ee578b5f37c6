import * as z from "@zod/zod";
import type { Launch } from "../privileges/launch.ts";
import type { TerminalEvent } from "../realtime/inbox.ts";
import type { RealtimeLink } from "../realtime/realtime_link.ts";
import { settlesWithin } from "../system/deadline.ts";
import type { Logger } from "../system/logger.ts";
import { LogThrottle } from "../system/log_throttle.ts";
import { STALL_MS } from "../system/stall.ts";
import { messageOf } from "../system/user_error.ts";
import { Acknowledgements } from "./delivery.ts";
import type { PtyMode } from "./modes.ts";
import type { OpenSessions } from "./open_sessions.ts";
import {
  AboutSession,
  TerminalInput,
  TerminalResize,
  TerminalStart,
  TerminalStop,
} from "./payloads.ts";
import type { KeptSession } from "./kept_session.ts";
import { type SessionEnd, shortReason, TerminalSession } from "./terminal_session.ts";
import type { UnitTerminals } from "./unit_terminals.ts";

/** How many terminals may be open at a time. */
export const MAX_SESSIONS = 32;
/** How long terminals live on without a control plane, in milliseconds. */
const ABANDON_MS = 5 * 60_000;
/** How long {@linkcode TerminalManager.stopAll} waits at most, in milliseconds. */
const STOP_ALL_MS = 8_000;
/** How many ended sessions are remembered, to answer a stop that comes again. */
const MAX_ENDED = 200;
const ABANDONED = "the agent was restarted, and this terminal has ended with it";
/** The longest message of `terminal.error` (contract: Realtime). */
const MAX_MESSAGE = 1_000;

/** What {@linkcode TerminalManager} needs. */
export interface TerminalManagerOptions {
  /** The way to the server. */
  link: RealtimeLink;
  /** The agent's log. */
  logger: Logger;
  /** Says in a sentence why a terminal must not be opened; undefined allows it. */
  authorize?: (request: TerminalStart) => string | undefined;
  /** Whose rights a terminal gets; the agent's by default. */
  launch?: (request: TerminalStart) => Launch;
  /** How long terminals live on without a control plane, in milliseconds. */
  abandonMs?: number;
  /** How long the first acknowledgement may take, in milliseconds. */
  firstAckMs?: number;
  /** Keeps which sessions there are, for the next agent. */
  open?: OpenSessions;
  /** The ways to open a terminal, in order. */
  modes?: readonly PtyMode[];
  /** Where terminals outlive the agent; without, they end with it. */
  place?: Pick<UnitTerminals, "left" | "create" | "open" | "close"> | undefined;
  /** Whether a terminal without a unit is refused: the sandbox of the service would bind it. */
  unitsOnly?: boolean;
}

interface OpenSession {
  request: TerminalStart;
  session: TerminalSession;
  done: Promise<void>;
}

/** A request that cannot be met; the message is told to the operator. */
class RefusedRequest extends Error {}

/** The terminals of this machine: takes the server's events and answers them (contract: Realtime). */
export class TerminalManager implements AsyncDisposable {
  readonly #options: TerminalManagerOptions;
  readonly #acks: Acknowledgements;
  readonly #sessions = new Map<string, OpenSession>();
  readonly #ended = new Map<string, SessionEnd>();
  readonly #throttle = new LogThrottle();
  #stopping = false;
  #watch: ReturnType<typeof setInterval> | undefined;
  #unreachableSinceMs: number | undefined;

  /** Makes one with the sessions that an earlier agent has left, and that go on. */
  constructor(options: TerminalManagerOptions) {
    this.#options = options;
    this.#acks = new Acknowledgements(options.firstAckMs);
    for (const kept of options.place?.left ?? []) this.#serve(kept.progress.request, kept);
  }

  /** How many sessions there are, those that start or end included. */
  get count(): number {
    return this.#sessions.size;
  }

  /** Takes an event with its payload as it came; never throws. */
  handle(event: TerminalEvent, payload: unknown): void {
    try {
      this.#dispatch(event, payload);
    } catch (error) {
      const about = AboutSession.safeParse(payload);
      const message = error instanceof z.ZodError
        ? `${event}: ${error.issues.map((issue) => issue.message).join("; ")}`
        : messageOf(error);
      const sessionId = about.data?.sessionId;
      // Each key that is typed into a terminal that is gone would be a warning.
      const kind = `${event} ${message.replace(sessionId ?? "", "")}`;
      const level = this.#throttle.allows(kind) ? "warn" : "debug";
      this.#options.logger[level]("terminal event is refused", {
        event,
        sessionId,
        error: message,
      });
      if (sessionId === undefined) return;
      // The error ends a session that is open (contract: Realtime): it is shown in there instead.
      const isShown = this.#sessions.get(sessionId)?.session.remark(message) ?? false;
      if (!isShown) this.#tellError(sessionId, message);
    }
  }

  /** Answers for the sessions that an earlier agent left open: nobody is to type into nothing. */
  answerForLeft(): void {
    for (const sessionId of this.#options.open?.left ?? []) {
      if (this.#sessions.has(sessionId) || this.#ended.has(sessionId)) continue;
      this.#tellError(sessionId, ABANDONED);
      this.#remember(sessionId, { reason: ABANDONED });
      this.#options.open?.delete(sessionId);
    }
  }

  /** Ends the sessions that would not be opened any more, with the reason. */
  reauthorize(): void {
    for (const { request, session } of this.#sessions.values()) {
      const refusal = this.#options.authorize?.(request);
      if (refusal !== undefined) session.stop(refusal);
    }
  }

  /** Ends all sessions and takes no more; resolves when they are gone, at the latest after 8 s. */
  async stopAll(reason: string): Promise<void> {
    this.#stopping = true;
    const running = [...this.#sessions.values()].filter(({ session }) => !session.isLeft);
    for (const { session } of running) session.stop(reason);
    if (await settlesWithin(Promise.all(running.map(({ done }) => done)), STOP_ALL_MS)) return;
    for (const { session } of running) session.abandon(reason);
  }

  /**
   * Leaves the terminals that outlive the agent, which is about to end, to the next one: nothing here
   * ends them any more. They are served until {@linkcode TerminalManager.letGo}.
   */
  leaveAll(): void {
    this.#stopping = true;
    for (const { session } of this.#sessions.values()) session.leave();
  }

  /** Sends no more output of the terminals that were left: the connection is about to be closed. */
  haltLeft(): void {
    for (const { session } of this.#sessions.values()) session.halt();
  }

  /** Lets go of the terminals that were left, once nobody can reach them here. */
  letGo(): void {
    for (const [sessionId, { session }] of this.#sessions) {
      if (!session.isLeft) continue;
      session.letGo();
      this.#sessions.delete(sessionId);
    }
    if (this.#sessions.size === 0) clearInterval(this.#watch);
  }

  /** Kills everything in all terminals without a word: the agent must leave at once. */
  killAllNow(): void {
    for (const { session } of this.#sessions.values()) if (!session.isLeft) session.killNow();
  }

  /** Ends all sessions. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopAll("the agent is stopping");
  }

  #dispatch(event: TerminalEvent, payload: unknown): void {
    switch (event) {
      case "terminal.start":
        return this.#start(TerminalStart.parse(payload));
      case "terminal.input": {
        const { sessionId, payload: bytes } = TerminalInput.parse(payload);
        if (this.#find(sessionId).write(bytes)) return;
        throw new RefusedRequest("the program does not read its input: some of it was left out");
      }
      case "terminal.resize": {
        const { sessionId, cols, rows } = TerminalResize.parse(payload);
        return this.#find(sessionId).resize({ cols, rows });
      }
      case "terminal.stop":
        return this.#stop(TerminalStop.parse(payload));
    }
  }

  #start(request: TerminalStart): void {
    const { sessionId } = request;
    const { authorize } = this.#options;
    if (this.#stopping) throw new RefusedRequest("the agent is stopping");
    if (this.#sessions.has(sessionId)) {
      throw new RefusedRequest(`terminal session ${sessionId} is open already`);
    }
    if (this.#ended.has(sessionId)) {
      throw new RefusedRequest(`terminal session ${sessionId} has ended already`);
    }
    if (this.#sessions.size >= MAX_SESSIONS) {
      throw new RefusedRequest(
        `${MAX_SESSIONS} terminals are open on this machine: close one of them first`,
      );
    }
    const refusal = authorize?.(request);
    if (refusal !== undefined) throw new RefusedRequest(refusal);
    this.#serve(request, this.#keep(request));
  }

  /** What the next agent needs to take a session up; undefined where it cannot. */
  #keep(request: TerminalStart): KeptSession | undefined {
    const { place, logger } = this.#options;
    try {
      return place?.create(request);
    } catch (error) {
      logger.warn("terminal cannot be kept for a next agent", { error: messageOf(error) });
      return undefined;
    }
  }

  #serve(request: TerminalStart, kept: KeptSession | undefined): void {
    const { sessionId, cols, rows } = request;
    const { link, logger, launch, modes, place, unitsOnly } = this.#options;
    const session = new TerminalSession({
      sessionId,
      size: kept?.size ?? { cols, rows },
      link,
      acks: this.#acks,
      launch: launch?.(request),
      modes,
      lasting: place && kept && { place, kept },
      unitsOnly,
      logger,
    });
    this.#options.open?.add(sessionId);
    const done = this.#run(sessionId, session, kept);
    this.#sessions.set(sessionId, { request, session, done });
    this.#watch ??= this.#watchLink();
  }

  async #run(
    sessionId: string,
    session: TerminalSession,
    kept: KeptSession | undefined,
  ): Promise<void> {
    let end: SessionEnd;
    try {
      end = await session.run();
    } catch (error) {
      end = { reason: `no terminal can be opened on this machine: ${messageOf(error)}` };
      this.#options.logger.error("terminal failed", { sessionId, error });
      this.#tellError(sessionId, end.reason);
    }
    this.#sessions.delete(sessionId);
    if (kept) await this.#options.place?.close(kept);
    this.#options.open?.delete(sessionId);
    this.#remember(sessionId, end);
    if (this.#sessions.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = this.#unreachableSinceMs = undefined;
  }

  /** A stop that comes again, or before its start, is answered; the session is not opened later. */
  #stop({ sessionId, reason }: TerminalStop): void {
    const running = this.#sessions.get(sessionId);
    if (running) return running.session.stop(reason);
    const end = this.#ended.get(sessionId);
    if (!end) {
      this.#remember(sessionId, { reason });
      throw unknownSession(sessionId);
    }
    const type = "terminal.exited";
    this.#options.link.emit(type, { type, sessionId, ...end });
  }

  #find(sessionId: string): TerminalSession {
    const running = this.#sessions.get(sessionId);
    if (!running) throw unknownSession(sessionId);
    return running.session;
  }

  #remember(sessionId: string, end: SessionEnd): void {
    this.#ended.set(sessionId, { ...end, reason: shortReason(end.reason) });
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > MAX_ENDED && oldest !== undefined) this.#ended.delete(oldest);
  }

  #tellError(sessionId: string, message: string): void {
    const type = "terminal.error";
    this.#options.link.emit(type, {
      type,
      sessionId,
      message: message.slice(0, MAX_MESSAGE).toWellFormed(),
    });
  }

  /** Terminals outlive a short absence of the control plane, not a long one. */
  #watchLink(): ReturnType<typeof setInterval> {
    const { link, abandonMs = ABANDON_MS } = this.#options;
    const everyMs = abandonMs / 60;
    let lookedMs = performance.now();
    return setInterval(() => {
      const nowMs = performance.now();
      const stoodStillMs = nowMs - lookedMs - everyMs;
      lookedMs = nowMs;
      // The control plane could not be reached because nobody tried to.
      if (stoodStillMs > STALL_MS && this.#unreachableSinceMs !== undefined) {
        this.#unreachableSinceMs += stoodStillMs;
      }
      if (link.ready) this.#unreachableSinceMs = undefined;
      else this.#unreachableSinceMs ??= nowMs;
      if (this.#unreachableSinceMs === undefined) return;
      if (nowMs - this.#unreachableSinceMs < abandonMs) return;
      for (const { session } of this.#sessions.values()) {
        session.abandon("the control plane could not be reached");
      }
    }, everyMs);
  }
}

function unknownSession(sessionId: string): RefusedRequest {
  return new RefusedRequest(`there is no terminal session ${sessionId} on this machine`);
}
