import * as z from "@zod/zod";
import { Refusal } from "./_refusal.ts";
import {
  decodeBase64,
  errorEvent,
  exitedEvent,
  openedEvent,
  outputEvent,
} from "./_realtime_rules.ts";
import { parseBody } from "./_rules.ts";
import { type NewTerminal, Terminal, type TerminalSurroundings } from "./_terminal.ts";

const ofSession = z.looseObject({ sessionId: z.string() });

/** The terminals of all nodes, and what agents say about them (contract, realtime). */
export class Terminals {
  readonly #around: (nodeId: string) => TerminalSurroundings;
  readonly #violate: (sentence: string) => void;
  readonly #terminals = new Map<string, Terminal>();
  /** The sessions whose `terminal.opened` has arrived, handled or not. */
  readonly #announced = new Set<string>();
  /** Which outputs are being handled, by session and socket. */
  readonly #inFlight = new Map<string, number>();

  /** `violate` is told each breach that is not refused. */
  constructor(
    around: (nodeId: string) => TerminalSurroundings,
    violate: (sentence: string) => void,
  ) {
    this.#around = around;
    this.#violate = violate;
  }

  /** All terminals, oldest first. */
  all(): Terminal[] {
    return [...this.#terminals.values()];
  }

  /** Starts one. */
  start(nodeId: string, spec: NewTerminal): Terminal {
    const around = this.#around(nodeId);
    const terminal = new Terminal(nodeId, spec, around);
    this.#terminals.set(terminal.sessionId, terminal);
    around.changed();
    return terminal;
  }

  /** A node has authenticated again: stops that are pending are sent again. */
  resume(nodeId: string): void {
    for (const terminal of this.all()) if (terminal.nodeId === nodeId) terminal.repeatStop();
  }

  /** An event has arrived and will be handled; the answered function is called afterwards. */
  arrived(socketId: string, event: string, payload: unknown): () => void {
    const { sessionId = "" } = ofSession.safeParse(payload).data ?? {};
    if (event === "terminal.opened") this.#announced.add(sessionId);
    if (event !== "terminal.output") return () => {};
    const key = `${sessionId} ${socketId}`;
    const count = this.#inFlight.get(key) ?? 0;
    if (count > 0 && this.#terminals.get(sessionId)?.ended === false) {
      this.#violate(
        `terminal ${sessionId}: "terminal.output" was sent while another was in flight`,
      );
    }
    this.#inFlight.set(key, count + 1);
    return () => {
      const left = (this.#inFlight.get(key) ?? 1) - 1;
      if (left === 0) this.#inFlight.delete(key);
      else this.#inFlight.set(key, left);
    };
  }

  /** Handles a `terminal.*` event; undefined for an unknown one, throws when refused. */
  handle(nodeId: string, event: string, payload: unknown): Record<string, unknown> | undefined {
    switch (event) {
      case "terminal.opened":
        return this.#opened(nodeId, parseBody(openedEvent, payload));
      case "terminal.output":
        return this.#output(nodeId, parseBody(outputEvent, payload));
      case "terminal.exited":
        return this.#exited(nodeId, parseBody(exitedEvent, payload));
      case "terminal.error":
        return this.#error(nodeId, parseBody(errorEvent, payload));
      default:
        return undefined;
    }
  }

  #opened(nodeId: string, { sessionId, cols, rows }: z.infer<typeof openedEvent>) {
    const terminal = this.#of(nodeId, sessionId);
    if (terminal.ended) {
      throw new Refusal(`terminal ${sessionId} is ${terminal.status}`, !terminal.endedByServer);
    }
    if (terminal.stopReason !== undefined) {
      this.#violate(`terminal ${sessionId}: "terminal.opened" after a stop re-opens it`);
    }
    terminal.open({ cols: cols ?? undefined, rows: rows ?? undefined });
    return { sessionId };
  }

  #output(nodeId: string, { sessionId, payload }: z.infer<typeof outputEvent>) {
    const terminal = this.#of(nodeId, sessionId);
    const bytes = decodeBase64(payload);
    if (!bytes) throw new Refusal("payload must be base64");
    if (terminal.ended) {
      throw new Refusal(`terminal ${sessionId} is ${terminal.status}`, !terminal.endedByServer);
    }
    if (!this.#announced.has(sessionId)) {
      throw new Refusal(`terminal ${sessionId} was not opened before its output`);
    }
    return { sessionId, seq: terminal.number(bytes) };
  }

  #exited(nodeId: string, { sessionId, exitCode, reason }: z.infer<typeof exitedEvent>) {
    const terminal = this.#of(nodeId, sessionId);
    terminal.exit({ exitCode: exitCode ?? undefined, reason: reason ?? undefined });
    return { sessionId };
  }

  #error(nodeId: string, { sessionId, message }: z.infer<typeof errorEvent>) {
    // An agent has to answer a session id that nobody knows: not its fault.
    const terminal = this.#of(nodeId, sessionId, false);
    terminal.errors.push(message);
    // It ends the session, open as it may be.
    terminal.fail(message);
    return { sessionId };
  }

  #of(nodeId: string, sessionId: string, isFault = true): Terminal {
    const terminal = this.#terminals.get(sessionId);
    if (terminal?.nodeId !== nodeId) throw new Refusal("Terminal session not found", isFault);
    return terminal;
  }
}
