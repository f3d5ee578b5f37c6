import * as z from "@zod/zod";
import type { ControlPlane, Terminal } from "./control_plane.ts";
import { PageNews, terminalNews } from "./_page_news.ts";
import { frame, type News, unframe } from "./page/messages.ts";

/** Changes within this time travel together; terminals do not wait. */
const GATHER_MS = 40;

const size = { cols: z.number().int(), rows: z.number().int() };
const request = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("run"), command: z.string().min(1) }),
  z.strictObject({ type: z.literal("cancel"), id: z.uuid() }),
  z.strictObject({ type: z.literal("open"), ...size }),
  z.strictObject({ type: z.literal("resize"), sessionId: z.uuid(), ...size }),
  z.strictObject({ type: z.literal("close"), sessionId: z.uuid() }),
]);

/** One open page: what it is told and what it asks for. */
export class PageSession {
  readonly #controlPlane: ControlPlane;
  readonly #run: (command: string) => void;
  readonly #socket: WebSocket;
  readonly #news: PageNews;
  readonly #terminals = new Map<Terminal, { told: string; end: () => void }>();
  readonly #endChanges: () => void;
  #gathering: ReturnType<typeof setTimeout> | undefined;

  /** Tells everything at once; `run` queues a shell command. */
  constructor(controlPlane: ControlPlane, run: (command: string) => void, socket: WebSocket) {
    this.#controlPlane = controlPlane;
    this.#run = run;
    this.#socket = socket;
    this.#news = new PageNews(controlPlane, (news) => this.#send(news));
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }: MessageEvent<unknown>) => this.#obey(data);
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
    for (const terminal of this.#controlPlane.realtime.terminals) {
      const known = this.#terminals.get(terminal);
      if (!known && terminal.ended) continue;
      const told = JSON.stringify([terminal.status, terminal.exited]);
      if (known?.told === told) continue;
      this.#send(terminalNews(terminal, !known));
      this.#terminals.set(terminal, { told, end: known?.end ?? this.#follow(terminal) });
    }
    this.#news.tell();
  }

  #follow(terminal: Terminal): () => void {
    const { sessionId } = terminal;
    const send = (bytes: Uint8Array) => this.#socket.send(frame(sessionId, bytes));
    send(terminal.bytes);
    return terminal.onOutput(send);
  }

  #obey(data: unknown): void {
    try {
      if (data instanceof ArrayBuffer) {
        const { sessionId, bytes } = unframe(data);
        this.#terminal(sessionId)?.input(bytes);
      } else this.#handle(request.parse(JSON.parse(String(data))));
    } catch (thrown) {
      // What cannot be done now, such as a terminal on a node that is offline, is for the person.
      this.#send({ type: "problem", message: thrown instanceof Error ? thrown.message : "failed" });
    }
  }

  #handle(asked: z.infer<typeof request>): void {
    switch (asked.type) {
      case "run":
        return this.#run(asked.command);
      case "cancel":
        return this.#controlPlane.cancelTask(asked.id, "cancelled on the page");
      case "open":
        return void this.#controlPlane.realtime.openTerminal(asked);
      case "resize":
        return this.#terminal(asked.sessionId)?.resize(asked.cols, asked.rows);
      case "close":
        return this.#terminal(asked.sessionId)?.stop();
    }
  }

  #terminal(id: string): Terminal | undefined {
    return this.#controlPlane.realtime.terminals.find(({ sessionId }) => sessionId === id);
  }

  #send(news: News): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(news));
  }
}
