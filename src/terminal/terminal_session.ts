import type { Launch } from "../privileges/launch.ts";
import type { RealtimeLink } from "../realtime/realtime_link.ts";
import { isTimeout } from "../system/deadline.ts";
import type { Logger } from "../system/logger.ts";
import { judgeAfter, TimeLimit } from "../system/stall.ts";
import { messageOf } from "../system/user_error.ts";
import { visible } from "../system/text.ts";
import { type Acknowledgements, Delivery, OutputRefusedError } from "./delivery.ts";
import { OutputBuffer } from "./flow.ts";
import type { KeptSession } from "./kept_session.ts";
import type { PtyMode } from "./modes.ts";
import type { Size } from "./pty.ts";
import { MAX_WAITING_INPUT } from "./pty_input.ts";
import type { Shell } from "./shell.ts";
import { openTerminal, type Terminal } from "./terminal.ts";
import type { UnitTerminals } from "./unit_terminals.ts";

/** How long a shell may take to start, in milliseconds: the server waits for 15 s (contract: Realtime). */
const START_MS = 12_000;
/** How long programs may take to leave after SIGHUP, in milliseconds. */
const HANGUP_GRACE_MS = 2_000;
/** How long a stopped session's last output may take, in milliseconds: the server waits for 10 s. */
const STOP_DELIVERY_MS = 4_000;
/** The longest reason of `terminal.exited`, in characters (contract: Realtime). */
const MAX_REASON = 500;

/** What a session needs of its surroundings. */
export interface SessionOptions {
  /** The session. */
  sessionId: string;
  /** Its size to begin with. */
  size: Size;
  /** The way to the server. */
  link: RealtimeLink;
  /** What is known of the server's acknowledgements. */
  acks: Acknowledgements;
  /** Makes the shell another user's than the agent's. */
  launch?: Launch | undefined;
  /** The ways to open a terminal, for tests. */
  modes?: readonly PtyMode[] | undefined;
  /** Where terminals outlive the agent, and what is kept of this one; else it ends with the agent. */
  lasting?: { place: Pick<UnitTerminals, "open">; kept: KeptSession } | undefined;
  /** Whether a terminal without a unit is refused. */
  unitsOnly?: boolean | undefined;
  /** The agent's log. */
  logger: Logger;
}

/** How a session ended. */
export interface SessionEnd {
  /** The shell's exit code, if it ran. */
  exitCode?: number;
  /** Why, in words. */
  reason: string;
}

/** A reason as `terminal.exited` may carry it, whoever gave it. */
export function shortReason(reason: string): string {
  return reason.slice(0, MAX_REASON).toWellFormed();
}

/** One terminal from `terminal.start` to `terminal.exited`. */
export class TerminalSession {
  readonly #options: SessionOptions;
  readonly #logger: Logger;
  readonly #output: OutputBuffer;
  readonly #delivery: Delivery;
  readonly #stopped = new AbortController();
  readonly #giveUp = new AbortController();
  #size: Size;
  #terminal: Terminal | undefined;
  #earlyInput: Uint8Array<ArrayBuffer>[] = [];
  #earlyBytes = 0;
  #inputs = 0;
  #reason: string | undefined;
  #reading = true;
  #remarked: string | undefined;
  #closed = false;
  #isLeft = false;
  #ending: Promise<void> | undefined;
  #cancelGiveUp = () => {};

  /** Makes one that {@linkcode TerminalSession.run} starts. */
  constructor(options: SessionOptions) {
    const { sessionId, link, acks, lasting } = this.#options = options;
    const kept = lasting?.kept;
    this.#size = options.size;
    this.#inputs = kept?.progress.inputs ?? 0;
    this.#logger = options.logger.with({ sessionId });
    const onFull = (full: boolean) => this.#throttle(full);
    this.#output = new OutputBuffer({ onFull, store: kept?.spool });
    this.#delivery = new Delivery({
      sessionId,
      link,
      acks,
      inputs: () => this.#inputs,
      logger: this.#logger,
      signal: this.#giveUp.signal,
      state: kept?.progress.delivery,
      onSend: () => kept?.note({ delivery: this.#delivery.state }),
    });
  }

  /** Whether it is the next agent's: nothing that becomes of it is this one's to tell. */
  get isLeft(): boolean {
    return this.#isLeft;
  }

  /**
   * Leaves a terminal that outlives the agent to the next one, unless it is about to end: from now on
   * this one ends nothing of it. It is served until {@linkcode TerminalSession.letGo}.
   */
  leave(): void {
    if (!this.#outlives || this.#closed || this.#reason !== undefined) return;
    this.#isLeft = true;
  }

  /** Whether its terminal outlives the agent, also one that an earlier agent has left, and is not taken up yet. */
  get #outlives(): boolean {
    const known = this.#terminal?.outlives;
    return known ?? Boolean(this.#options.lasting?.kept.progress.shell);
  }

  /** Sends no more output of a terminal that was left; it can still be typed into. */
  halt(): void {
    if (this.#isLeft) this.#giveUp.abort();
  }

  /** Lets go of a terminal that was left. */
  letGo(): void {
    if (!this.#isLeft) return;
    this.#terminal?.pty[Symbol.dispose]();
    this.#options.lasting?.kept[Symbol.dispose]();
  }

  /**
   * Runs the session; resolves when the server knows its end, or cannot be told, but never for one that
   * was left.
   *
   * @throws when no terminal can be opened; nothing is left of it then, and the server not told.
   */
  async run(): Promise<SessionEnd> {
    let end: SessionEnd;
    try {
      end = await this.#serve(await this.#open());
    } catch (error) {
      if (this.#reason === undefined) throw error;
      // It was stopped before its shell had started.
      end = { reason: this.#reason };
    }
    this.#reading = false;
    const isTold = !this.#isLeft && await this.#tellEnd(end);
    if (!isTold) await new Promise(() => {});
    this.#closed = true;
    await this.#ending;
    this.#cancelGiveUp();
    this.#logger.info("terminal closed", { ...end });
    return end;
  }

  /** Writes what the operator typed; false if the programs have left too much of it unread. */
  write(bytes: Uint8Array<ArrayBuffer>): boolean {
    this.#inputs++;
    this.#options.lasting?.kept.note({ inputs: this.#inputs });
    this.#output.urge();
    if (this.#terminal) return this.#taken(this.#terminal.pty.write(bytes));
    if (this.#earlyBytes + bytes.length > MAX_WAITING_INPUT) return false;
    this.#earlyInput.push(bytes);
    this.#earlyBytes += bytes.length;
    return true;
  }

  /** What was taken ends the time in which a remark is not repeated. */
  #taken(isTaken: boolean): boolean {
    if (isTaken) this.#remarked = undefined;
    return isTaken;
  }

  /**
   * Shows the operator a sentence of the agent's own; again only after something else. False when
   * the session is about to end: nothing can be shown in it anymore.
   */
  remark(sentence: string): boolean {
    if (!this.#reading) return false;
    if (sentence === this.#remarked) return true;
    this.#remarked = sentence;
    this.#output.push(new TextEncoder().encode(`\r\n[${visible(sentence)}]\r\n`));
    return true;
  }

  /** Changes the size. */
  resize(size: Size): void {
    this.#size = size;
    this.#options.lasting?.kept.note(size);
    this.#terminal?.pty.resize(size);
  }

  /** Ends the session; only the first reason counts. */
  stop(reason: string): void {
    if (this.#closed || this.#isLeft || this.#reason !== undefined) return;
    this.#reason = shortReason(reason);
    this.#stopped.abort();
  }

  /** Ends the session without waiting for a server that cannot be reached. */
  abandon(reason: string): void {
    this.stop(reason);
    this.#giveUp.abort();
  }

  /** Kills everything in the terminal without a word: the agent must leave at once. */
  killNow(): void {
    this.#terminal?.shell.killNow();
  }

  async #open(): Promise<Terminal> {
    const { sessionId, launch, modes, size, lasting, unitsOnly } = this.#options;
    using limit = new TimeLimit(START_MS);
    try {
      this.#terminal = await openTerminal({
        sessionId,
        size,
        onData: (bytes) => this.#keep(bytes),
        onGrown: () => this.#output.grown(),
        lasting,
        unitsOnly,
        launch,
        modes,
        logger: this.#logger,
        signal: AbortSignal.any([this.#stopped.signal, limit.signal]),
      });
    } catch (error) {
      throw isTimeout(error) ? new Error("the shell does not start") : error;
    }
    const { pty } = this.#terminal;
    if (this.#size !== size) pty.resize(this.#size);
    this.#earlyInput.splice(0).forEach((bytes) => pty.write(bytes));
    if (this.#output.full) pty.pause();
    return this.#terminal;
  }

  #keep(bytes: Uint8Array<ArrayBuffer>): void {
    try {
      this.#output.push(bytes);
    } catch (error) {
      this.stop(`the output cannot be kept: ${messageOf(error)}`);
    }
  }

  /** Serves the terminal until the shell has ended and its last output has been delivered. */
  async #serve({ pty, shell }: Terminal): Promise<SessionEnd> {
    const end = () => this.#ending = this.#endProcesses(shell);
    if (this.#stopped.signal.aborted) end();
    else this.#stopped.signal.addEventListener("abort", end, { once: true });
    const delivering = this.#deliver();
    const { code: exitCode, signal } = await shell.status;
    await this.#ending;
    // What is left is little, and the shell's end would come before it if it were not read now.
    this.#reading = false;
    await pty.finish();
    this.#output.end();
    await delivering;
    const byItself = signal ? `the shell was ended by ${signal}` : "the shell exited";
    return {
      ...exitCode === undefined ? {} : { exitCode },
      reason: this.#reason ?? byItself,
    };
  }

  /** Tells that the terminal is open, then delivers its output to the end. Never throws. */
  async #deliver(): Promise<void> {
    const kept = this.#options.lasting?.kept;
    try {
      if (kept?.progress.isOpened) await this.#resume(kept);
      else await this.#tellOpened();
      kept?.note({ isOpened: true });
      for (let frame; (frame = await this.#output.next());) {
        kept?.note({ onWayBytes: frame.length });
        await this.#delivery.output(frame);
        kept?.arrived(this.#delivery.state);
      }
    } catch (error) {
      this.stop(messageOf(error));
    }
  }

  async #tellOpened(): Promise<void> {
    const { cols, rows } = this.#size;
    const opened = { cols, rows };
    // A session that has been stopped would be opened again by it (contract: Realtime).
    const ack = await this.#delivery.tell("terminal.opened", opened, this.#stopped.signal);
    if (ack?.ok === false) throw new OutputRefusedError(`not opened: ${ack.message}`);
  }

  /** Goes on where an earlier agent was. Its last frame, or an empty one, shows whether it may. */
  async #resume(kept: KeptSession): Promise<void> {
    await this.#delivery.resume(kept.spool.take(kept.progress.onWayBytes));
    kept.arrived(this.#delivery.state);
  }

  /** Ends all processes of the session; its last output is then given a limited time. */
  async #endProcesses(shell: Shell): Promise<void> {
    try {
      const left = await shell.end(HANGUP_GRACE_MS);
      if (left > 0) this.#logger.warn("processes of the terminal cannot be ended", { left });
    } catch (error) {
      this.#logger.error("processes of the terminal cannot be listed", { error });
    }
    this.#cancelGiveUp = judgeAfter(STOP_DELIVERY_MS, () => this.#giveUp.abort());
  }

  /**
   * Tells the server the end; what cannot be told now is left to the link, or to the next agent: then
   * it gives false.
   */
  async #tellEnd({ exitCode, reason }: SessionEnd): Promise<boolean> {
    const fields = { ...(exitCode === undefined ? {} : { exitCode }), reason };
    try {
      const ack = await this.#delivery.tell("terminal.exited", fields, this.#giveUp.signal);
      if (ack?.ok === false) {
        this.#logger.warn("control plane refuses the end of the terminal", { error: ack.message });
      }
    } catch {
      if (this.#isLeft) return false;
      const { link, sessionId } = this.#options;
      link.emit("terminal.exited", { type: "terminal.exited", sessionId, ...fields });
    }
    return true;
  }

  #throttle(full: boolean): void {
    if (!this.#reading) return;
    if (full) this.#terminal?.pty.pause();
    else this.#terminal?.pty.resume();
  }
}
