import type { DesiredRootAccess, Task } from "../control_plane/schemas.ts";
import type { Logger } from "../system/logger.ts";
import { oneLine } from "../system/text.ts";
import { messageOf } from "../system/user_error.ts";
import { DispatchedTask, Refusal, RootAccessUpdated } from "./events.ts";
import { LogThrottle } from "../system/log_throttle.ts";

const TERMINAL_EVENTS = [
  "terminal.start",
  "terminal.input",
  "terminal.resize",
  "terminal.stop",
] as const;

/** What an operator does to a terminal (contract: Realtime). */
export type TerminalEvent = typeof TERMINAL_EVENTS[number];

/** Who gets what the control plane sends. */
export interface RealtimeHandlers {
  /** Gets what concerns terminals, in the order of arrival; the payload is not looked at before. */
  onTerminal(event: TerminalEvent, payload: unknown): void;
  /** Gets each task that is dispatched. It may be one that was claimed already. */
  onDispatch(task: Task): void;
  /** Gets the root access that the control plane wishes, where it knows any. */
  onRootAccess(wish: DesiredRootAccess): void;
}

/** Sorts what the control plane sends. Nothing that comes in, nor what a handler throws, gets past it. */
export class Inbox {
  readonly #handlers: RealtimeHandlers;
  readonly #logger: Logger;
  readonly #throttle = new LogThrottle();

  /** `handlers` get the events, `logger` the rest. */
  constructor(handlers: RealtimeHandlers, logger: Logger) {
    this.#handlers = handlers;
    this.#logger = logger;
  }

  /** Takes one event. */
  take(event: string, payload: unknown): void {
    const terminalEvent = TERMINAL_EVENTS.find((known) => known === event);
    if (terminalEvent) {
      this.#guard(event, () => this.#handlers.onTerminal(terminalEvent, payload));
    } else if (event === "task.dispatch") {
      const task = DispatchedTask.safeParse(payload);
      if (task.success) this.#guard(event, () => this.#handlers.onDispatch(task.data));
      else this.#unusable(event);
    } else if (event === "root-access.updated") {
      const update = RootAccessUpdated.safeParse(payload);
      if (update.success) this.rootAccess(update.data.rootAccess);
      else this.#unusable(event);
    } else if (event === "agent.error") {
      const refusal = Refusal.safeParse(payload);
      if (refusal.success) this.#refused(refusal.data);
      else this.#unusable(event);
    } else {
      this.#logger.debug("unknown realtime event", { event: oneLine(event) });
    }
  }

  /** Takes the root access that came with another answer. */
  rootAccess(wish: DesiredRootAccess): void {
    this.#guard("root-access.updated", () => this.#handlers.onRootAccess(wish));
  }

  #refused({ eventType, code, message }: Refusal): void {
    if (!this.#throttle.allows(`refused ${code} ${eventType}`)) return;
    this.#logger.warn("control plane refused a realtime event", { eventType, code, message });
  }

  #unusable(event: string): void {
    if (!this.#throttle.allows(`unusable ${event}`)) return;
    this.#logger.warn("realtime event cannot be used: it is not as the contract has it", { event });
  }

  #guard(event: string, handle: () => void): void {
    try {
      handle();
    } catch (error) {
      this.#logger.error("realtime event could not be handled", {
        event,
        error: messageOf(error),
      });
    }
  }
}
