import * as z from "@zod/zod";
import type { FaultSwitches } from "./_fault_switches.ts";
import { PageNews, terminalNews } from "./_page_news.ts";
import type { ControlPlane, NewTask, Terminal } from "./control_plane.ts";
import { rootAccessProfile } from "./_rules.ts";
import { frame, type HealthNews, type News, unframe } from "./page/messages.ts";

/** Changes within this time travel together; terminals do not wait. */
const GATHER_MS = 40;

const id = z.uuid();
const size = { cols: z.int(), rows: z.int() };
const on = z.boolean();
const request = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("run"),
    task: z.string().min(1),
    payload: z.record(z.string(), z.unknown()),
  }),
  z.strictObject({ type: z.enum(["again", "cancel", "follow"]), id }),
  z.strictObject({ type: z.literal("latency"), ms: z.int().min(0).max(60_000) }),
  z.strictObject({ type: z.literal("errors"), percent: z.int().min(0).max(100) }),
  z.strictObject({ type: z.enum(["outage", "maintenance"]), on }),
  z.strictObject({ type: z.literal("drop") }),
  z.strictObject({
    type: z.literal("profile"),
    profile: rootAccessProfile,
  }),
  z.strictObject({ type: z.literal("open"), ...size }),
  z.strictObject({ type: z.literal("resize"), sessionId: id, ...size }),
  z.strictObject({ type: z.literal("close"), sessionId: id }),
]);

/** What an open page is told about and works on. */
export interface PageSessionParts {
  readonly controlPlane: ControlPlane;
  readonly faults: FaultSwitches;
  readonly socket: WebSocket;
  /** Queues a task. */
  run(task: NewTask): void;
  /** What the agent says of itself. */
  health(): HealthNews | undefined;
}

/** One open page: what it is told and what it asks for. */
export class PageSession {
  readonly #parts: PageSessionParts;
  readonly #news: PageNews;
  readonly #terminals = new Map<Terminal, { told: string; end: () => void }>();
  readonly #endChanges: () => void;
  #gathering: ReturnType<typeof setTimeout> | undefined;

  /** Tells everything at once. */
  constructor(parts: PageSessionParts) {
    this.#parts = parts;
    const { controlPlane, faults, health, socket } = parts;
    this.#news = new PageNews({ controlPlane, faults, health, send: (news) => this.#send(news) });
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }: MessageEvent<unknown>) => void this.#obey(data);
    this.#endChanges = controlPlane.onChange(() => this.#changed());
    this.#tell();
  }

  /** The page is gone. */
  close(): void {
    this.#endChanges();
    clearTimeout(this.#gathering);
    for (const { end } of this.#terminals.values()) end();
  }

  #changed(): void {
    this.#gathering ??= setTimeout(() => this.#tell(), GATHER_MS);
  }

  #tell(): void {
    this.#gathering = undefined;
    // First: a page that hears of a node before its terminals opens one of its own.
    for (const terminal of this.#parts.controlPlane.realtime.terminals) {
      const known = this.#terminals.get(terminal);
      if (!known && terminal.ended) continue;
      const told = JSON.stringify([terminal.status, terminal.exited]);
      if (known?.told === told) continue;
      this.#send([terminalNews(terminal, !known)]);
      this.#terminals.set(terminal, { told, end: known?.end ?? this.#follow(terminal) });
    }
    this.#news.tell();
  }

  #follow(terminal: Terminal): () => void {
    const { sessionId } = terminal;
    const send = (bytes: Uint8Array) => this.#parts.socket.send(frame(sessionId, bytes));
    send(terminal.bytes);
    return terminal.onOutput(send);
  }

  async #obey(data: unknown): Promise<void> {
    try {
      if (data instanceof ArrayBuffer) {
        const { sessionId, bytes } = unframe(data);
        this.#terminal(sessionId)?.input(bytes);
      } else await this.#handle(request.parse(JSON.parse(String(data))));
    } catch (thrown) {
      // What cannot be done now, such as a terminal on a node that is offline, is for the person.
      const message = thrown instanceof Error ? thrown.message : "failed";
      this.#send([{ type: "problem", message }]);
    }
    this.#changed();
  }

  #handle(asked: z.infer<typeof request>): void | Promise<void> {
    const { controlPlane, faults, run } = this.#parts;
    switch (asked.type) {
      case "run":
        return run({ type: asked.task, payload: asked.payload });
      case "again": {
        const { type, payload, extra } = controlPlane.task(asked.id);
        return run({ ...extra, type, payload });
      }
      case "cancel":
        return controlPlane.cancelTask(asked.id, "cancelled on the page");
      case "follow":
        return this.#news.follow(asked.id);
      case "latency":
        return faults.latency(asked.ms);
      case "errors":
        return faults.errors(asked.percent);
      case "outage":
        return faults.outage(asked.on);
      case "drop":
        return faults.dropSocket();
      case "maintenance":
        return controlPlane.maintenance(this.#nodeId, asked.on);
      case "profile":
        return controlPlane.setRootAccess(this.#nodeId, asked.profile);
      case "open":
        return void controlPlane.realtime.openTerminal(asked);
      case "resize":
        return this.#terminal(asked.sessionId)?.resize(asked.cols, asked.rows);
      case "close":
        return this.#terminal(asked.sessionId)?.stop();
    }
  }

  get #nodeId(): string {
    const node = this.#parts.controlPlane.nodes.at(-1);
    if (!node) throw new Error("There is no node yet.");
    return node.nodeId;
  }

  #terminal(id: string): Terminal | undefined {
    return this.#parts.controlPlane.realtime.terminals.find(({ sessionId }) => sessionId === id);
  }

  #send(news: News[]): void {
    const { socket } = this.#parts;
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(news));
  }
}
