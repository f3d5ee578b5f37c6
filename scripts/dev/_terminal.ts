import type { WaitOptions } from "./_ledger.ts";
import type { ControlPlaneOptions } from "./_options.ts";
import type { Timers } from "./_timers.ts";
import { Transcript } from "./_transcript.ts";

/**
 * The states of a terminal session: `starting` until `terminal.opened`, `stopping` from
 * `terminal.stop` on, `closed` after `terminal.exited` or when the server closed it itself.
 */
export type TerminalStatus = "starting" | "open" | "stopping" | "closed" | "failed";

/** What a new terminal is to be like; sizes are sent as they are, 0 and nonsense included. */
export interface NewTerminal {
  cols: number;
  rows: number;
  /** Default false. */
  runAsRoot?: boolean;
}

/** What a terminal needs of the server around it. */
export interface TerminalSurroundings {
  readonly options: ControlPlaneOptions;
  readonly timers: Timers;
  /** Sends an event to the node; false when it has no authenticated socket. */
  send(event: string, payload: Record<string, unknown>): boolean;
  changed(): void;
  waitFor<T>(predicate: () => T, options?: WaitOptions): Promise<NonNullable<T>>;
}

/** Input travels in events of at most so many bytes. */
const INPUT_BYTES = 48 * 1024;

/** A terminal session as the platform and its operator see it (contract, realtime). */
export class Terminal {
  readonly sessionId: string = crypto.randomUUID();
  readonly nodeId: string;
  status: TerminalStatus = "starting";
  /** The size the agent opened it with, if it said so. */
  opened: { cols?: number | undefined; rows?: number | undefined } | undefined;
  /** What `terminal.exited` said. */
  exited: { exitCode?: number | undefined; reason?: string | undefined } | undefined;
  /** Why it failed. */
  error: string | undefined;
  /** The message of each `terminal.error`. */
  readonly errors: string[] = [];
  /** The reason of the `terminal.stop`. */
  stopReason: string | undefined;
  /** True when no `terminal.exited` ended it. */
  endedByServer = false;
  /** How many outputs were numbered: the last one's `seq`. */
  frames = 0;
  /** From which byte of the output on it had which size: one can only be replayed at its width. */
  readonly sizes: [at: number, cols: number, rows: number][] = [];
  readonly #transcript = new Transcript();
  readonly #around: TerminalSurroundings;
  readonly #listeners = new Set<(bytes: Uint8Array) => void>();
  #cancelDeadline = () => {};
  #cancelDetached = () => {};

  /** Sends `terminal.start`. */
  constructor(nodeId: string, spec: NewTerminal, around: TerminalSurroundings) {
    this.nodeId = nodeId;
    this.#around = around;
    const { cols, rows, runAsRoot = false } = spec;
    this.sizes.push([0, cols, rows]);
    this.#send("terminal.start", { cols, rows, runAsRoot });
    this.#deadline(
      around.options.terminalOpenMs,
      () => this.fail("the agent did not open the terminal in time"),
    );
  }

  /** All output in the order of its numbers: a view, good until the next output. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#transcript.bytes;
  }

  /** How many bytes there are. */
  get byteLength(): number {
    return this.#transcript.length;
  }

  /** All output as text; decoded anew after each output, so for long ones look at `tail()`. */
  get text(): string {
    return this.#transcript.text;
  }

  /** The last bytes as text. */
  tail(bytes = 4096): string {
    return new TextDecoder().decode(this.bytes.subarray(-bytes));
  }

  /** Calls the function with each output at once; the answered function ends that. */
  onOutput(listener: (bytes: Uint8Array) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves with the first truthy value of `predicate`, looked at after each event. */
  waitFor<T>(predicate: (terminal: this) => T, options?: WaitOptions): Promise<NonNullable<T>> {
    const tellStory = () => `the terminal, ${this.status}, ${JSON.stringify(this.tail(400))}`;
    return this.#around.waitFor(() => predicate(this), { what: tellStory, ...options });
  }

  /** Resolves when the output contains a text or matches a pattern. */
  async waitForText(wanted: string | RegExp, options?: WaitOptions): Promise<void> {
    const isString = typeof wanted === "string";
    await this.waitFor(({ text }) => isString ? text.includes(wanted) : wanted.test(text), {
      what: () => `${wanted} in ${JSON.stringify(this.tail(1000))}`,
      ...options,
    });
  }

  /** An operator types. While the agent is gone this makes the session fail. */
  input(data: string | Uint8Array): void {
    if (this.status !== "open") throw new Error(`a terminal that is ${this.status} takes no input`);
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    for (let at = 0; at < bytes.length; at += INPUT_BYTES) {
      const payload = bytes.subarray(at, at + INPUT_BYTES).toBase64();
      if (!this.#send("terminal.input", { payload })) {
        return this.fail("the agent was gone when there was input");
      }
    }
  }

  /** An operator changes the size; not forwarded before it is open. */
  resize(cols: number, rows: number): void {
    if (this.status !== "open") return;
    if (this.#send("terminal.resize", { cols, rows })) this.#sized(cols, rows);
  }

  /** An operator closes the terminal; the server closes the session itself 10 s later. */
  stop(reason = "closed by operator"): void {
    if (this.ended || this.status === "stopping") return;
    this.status = "stopping";
    this.stopReason = reason;
    this.repeatStop();
    this.#deadline(this.#around.options.terminalStopMs, () => {
      this.endedByServer = true;
      this.#end("closed");
    });
    this.#around.changed();
  }

  /** The operator's window is gone: 300 s later the session is stopped. */
  detach(): void {
    this.#cancelDetached();
    this.#cancelDetached = this.#around.timers.set(
      this.#around.options.detachedMs,
      () => this.stop("controller-detached-timeout"),
    );
  }

  /** The operator's window is back. */
  attach(): void {
    this.#cancelDetached();
  }

  /** True when nothing more can happen to it. */
  get ended(): boolean {
    return this.status === "closed" || this.status === "failed";
  }

  /** For the server: sends the pending `terminal.stop`. */
  repeatStop(): void {
    if (this.status === "stopping") this.#send("terminal.stop", { reason: this.stopReason });
  }

  /** For the server: `terminal.opened` arrived, also after a stop. */
  open(size: { cols?: number | undefined; rows?: number | undefined }): void {
    this.opened = size;
    this.status = "open";
    this.#cancelDeadline();
    this.#around.changed();
  }

  /** For the server: numbers output and keeps it; null when the transcript is full. */
  number(bytes: Uint8Array): number | null {
    const { transcriptBytes } = this.#around.options;
    if (this.byteLength > transcriptBytes) return null;
    this.frames++;
    this.#transcript.append(bytes);
    for (const listener of this.#listeners) listener(bytes);
    if (this.byteLength > transcriptBytes) this.stop("transcript-overflow");
    return this.frames;
  }

  /** For the server: `terminal.exited` arrived. */
  exit(exited: { exitCode?: number | undefined; reason?: string | undefined }): void {
    this.exited ??= exited;
    if (!this.ended) this.#end("closed");
  }

  /** For the server: the session ends without an exit. */
  fail(error: string): void {
    if (this.ended) return;
    this.error = error;
    this.endedByServer = true;
    this.#end("failed");
  }

  #sized(cols: number, rows: number): void {
    if (this.sizes.at(-1)?.[0] === this.byteLength) this.sizes.pop();
    this.sizes.push([this.byteLength, cols, rows]);
  }

  #end(status: "closed" | "failed"): void {
    this.status = status;
    this.#cancelDeadline();
    this.#cancelDetached();
    this.#around.changed();
  }

  #deadline(delayMs: number, run: () => void): void {
    this.#cancelDeadline();
    this.#cancelDeadline = this.#around.timers.set(delayMs, run);
  }

  #send(event: string, payload: Record<string, unknown>): boolean {
    return this.#around.send(event, { type: event, sessionId: this.sessionId, ...payload });
  }
}
