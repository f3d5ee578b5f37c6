import { delay } from "@std/async";
import {
  type Ack,
  LinkDroppedError,
  NoAckError,
  type RealtimeLink,
} from "../realtime/realtime_link.ts";
import { isTimeout, within } from "../system/deadline.ts";
import type { Logger } from "../system/logger.ts";
import { LogThrottle } from "../system/log_throttle.ts";
import { type LedgerState, type Numbering, SequenceLedger } from "./sequence.ts";

/**
 * How long the very first acknowledgement may take before the server is taken to send none, in
 * milliseconds: a terminal's first output waits behind it.
 */
const FIRST_ACK_MS = 1_000;
/**
 * How long a later acknowledgement may take before it is taken to be lost, in milliseconds; if no
 * other has come since a reconnect, the server is then taken to send none any more.
 */
const ACK_MS = 20_000;
/** The pace of frames that nobody acknowledges, in milliseconds: faster ones would pile up. */
const UNACKNOWLEDGED_PACE_MS = 10;
/** The pauses before what is refused goes again, in milliseconds: it may be a mere mishap. */
const REFUSED_PAUSES_MS = [200, 600, 1_200];

/** The server takes no more output of the session; the message says why. */
export class OutputRefusedError extends Error {}

/** How the control plane acknowledges events: older ones do not. All sessions learn it together. */
export class Acknowledgements {
  /** Whether they come; undefined until that could be seen. */
  come: boolean | undefined;
  /** What the numbers in its acknowledgements count. */
  readonly numbering: Numbering = {};
  /** How long to wait for the first, in milliseconds. */
  readonly firstMs: number;
  /** How long to wait for a later one, in milliseconds. */
  readonly laterMs: number;
  /** Keeps what is logged about it short. */
  readonly throttle: LogThrottle = new LogThrottle();

  /** Makes one that knows nothing yet. */
  constructor(firstMs = FIRST_ACK_MS, laterMs = ACK_MS) {
    this.firstMs = firstMs;
    this.laterMs = laterMs;
  }

  /**
   * There is, or will be, another connection: where none came some may come now. Where some came
   * they are still expected: the first may be late, for all nodes connect again at the same time.
   */
  lookAgain(): void {
    this.come ||= undefined;
  }
}

/** How far the delivery of a session's output is, to be kept. */
export interface DeliveryState {
  /** What the server's numbers have told. */
  ledger: LedgerState;
  /** Whether a frame is on its way that may be stored or not. */
  isOnWay: boolean;
  /** How many empty frames are on their way behind it. */
  probes: number;
}

/** Options of {@linkcode Delivery}. */
export interface DeliveryOptions {
  /** The session. */
  sessionId: string;
  /** The way to the server. */
  link: RealtimeLink;
  /** What is known of the server's acknowledgements. */
  acks: Acknowledgements;
  /** How many inputs the session has received so far. */
  inputs: () => number;
  /** The session's log. */
  logger: Logger;
  /** Gives up: output that waits for the server then throws its reason. */
  signal: AbortSignal;
  /** How far an earlier agent was. */
  state?: DeliveryState | undefined;
  /** Called before each frame is sent: what is on its way now is to be kept. */
  onSend?: (() => void) | undefined;
}

/** Brings the events of one session to the server: in order, each once, one at a time. */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #ledger: SequenceLedger;
  #isOnWay: boolean;
  #probes: number;

  /** Makes one for a session. */
  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#ledger = new SequenceLedger(options.acks.numbering, options.state?.ledger);
    this.#isOnWay = options.state?.isOnWay ?? false;
    this.#probes = options.state?.probes ?? 0;
  }

  /** How far it is. */
  get state(): DeliveryState {
    return { ledger: this.#ledger.state, isOnWay: this.#isOnWay, probes: this.#probes };
  }

  /**
   * Goes on where an earlier agent has ended, with the frame that was on its way then, if one was;
   * resolves when the server has it, once, and takes more.
   *
   * @throws as {@linkcode Delivery.output}.
   */
  async resume(frame: Uint8Array<ArrayBuffer>): Promise<void> {
    if (!this.#isOnWay || !await this.#wasStored()) await this.output(frame);
    this.#isOnWay = false;
  }

  /**
   * Sends an event that may arrive twice, again for a while if it is refused; resolves with the
   * acknowledgement, or with undefined if the control plane sends none.
   *
   * @throws the signal's reason when it aborts; nothing is sent from then on.
   */
  async tell(
    event: string,
    fields: Record<string, unknown>,
    signal: AbortSignal,
  ): Promise<Ack | undefined> {
    for (let refusals = 0;;) {
      const ack = await this.#request(event, fields, signal);
      if (ack === "lost") continue;
      if (ack?.ok !== false || !await this.#mayGoAgain(refusals++, signal)) return ack;
    }
  }

  /**
   * Sends the next frame of output; resolves when the server has stored it.
   *
   * @throws {OutputRefusedError} when the server takes no more, the signal's reason when it aborts.
   */
  async output(frame: Uint8Array<ArrayBuffer>): Promise<void> {
    const fields = outputFields(frame);
    for (let refusals = 0;;) {
      const inputs = this.#options.inputs();
      this.#isOnWay = true;
      this.#probes = 0;
      this.#options.onSend?.();
      const ack = await this.#request("terminal.output", fields);
      if (ack === "lost") {
        if (await this.#wasStored()) break;
      } else if (ack?.ok !== false || !await this.#mayGoAgain(refusals++)) {
        this.#noteStored(ack, inputs);
        break;
      }
    }
    this.#isOnWay = false;
  }

  /** An empty frame is numbered like any other: its number tells whether the last one was stored. */
  async #wasStored(): Promise<boolean> {
    const { inputs, logger, onSend, signal } = this.#options;
    for (let lostProbes = this.#probes, refusals = 0;;) {
      // One that was noted, but not sent, would be missed in the numbers.
      const noteSent = () => {
        this.#probes = lostProbes + 1;
        onSend?.();
      };
      const empty = outputFields(new Uint8Array());
      const ack = await this.#request("terminal.output", empty, signal, noteSent);
      if (ack === "lost") {
        lostProbes++;
        continue;
      }
      if (ack?.ok === false && await this.#mayGoAgain(refusals++)) continue;
      if (!ack?.ok || typeof ack.seq !== "number") return false;
      const verdict = this.#ledger.resolve(ack.seq, inputs(), lostProbes);
      logger.debug("output goes on after a lost acknowledgement", { verdict });
      return verdict === "stored";
    }
  }

  /** Pauses before what was refused goes again; false when that was often enough. */
  async #mayGoAgain(refusals: number, signal = this.#options.signal): Promise<boolean> {
    const pauseMs = REFUSED_PAUSES_MS[refusals];
    if (pauseMs === undefined) return false;
    await delay(pauseMs, { signal });
    return true;
  }

  #noteStored(ack: Ack | undefined, inputs: number): void {
    if (!ack) return this.#ledger.restart();
    if (!ack.ok) {
      throw new OutputRefusedError(
        `the control plane refuses output: ${ack.message ?? "no reason"}`,
      );
    }
    if (ack.seq === null) {
      throw new OutputRefusedError("the control plane takes no more output of the terminal");
    }
    if (ack.seq !== undefined) this.#ledger.acknowledged(ack.seq, inputs);
  }

  /** Sends once the server can be reached: "lost" if it is then not known whether it arrived. */
  async #request(
    event: string,
    fields: Record<string, unknown>,
    signal = this.#options.signal,
    beforeSend = () => {},
  ): Promise<Ack | undefined | "lost"> {
    const { link, acks, sessionId } = this.#options;
    signal.throwIfAborted();
    if (!link.ready) {
      acks.lookAgain();
      await link.whenReady(signal);
    }
    const payload = { type: event, sessionId, ...fields };
    beforeSend();
    if (link.acknowledges) acks.come = true;
    if (acks.come === false) return await this.#emit(event, payload, signal);
    const answer = link.request(event, payload, acks.laterMs);
    answer.then(() => acks.come = true, () => {});
    try {
      if (!acks.come) {
        const early = await orLate(acks.firstMs, answer, signal);
        if (early !== "late") return early;
        if (!link.acknowledges) return this.#noteMissing(answer);
      }
      const ack = await orLate(acks.laterMs, answer, signal);
      return ack === "late" ? "lost" : ack;
    } catch (error) {
      if (error instanceof LinkDroppedError) return "lost";
      if (!(error instanceof NoAckError)) throw error;
      return link.acknowledges ? "lost" : this.#noteMissing(answer);
    }
  }

  /** The answer is not waited for any more, but may still come: it then shows that there are some. */
  #noteMissing(answer: Promise<Ack>): undefined {
    const { acks, logger } = this.#options;
    acks.come = false;
    answer.catch((error) => {
      if (error instanceof LinkDroppedError) acks.lookAgain();
    });
    if (!acks.throttle.allows("missing")) return;
    logger.warn("control plane acknowledges nothing", {
      lost: "terminals cannot be told from lost or reordered output after a reconnect",
    });
  }

  async #emit(
    event: string,
    payload: Record<string, unknown>,
    signal: AbortSignal,
  ): Promise<undefined> {
    do {
      await delay(UNACKNOWLEDGED_PACE_MS, { signal });
    } while (!this.#options.link.emit(event, payload));
  }
}

/** What `work` gives, or "late" after `limitMs`; throws the signal's reason when it aborts first. */
async function orLate<T>(
  limitMs: number,
  work: Promise<T>,
  signal: AbortSignal,
): Promise<T | "late"> {
  try {
    return await within(work, limitMs, signal);
  } catch (error) {
    if (isTimeout(error)) return "late";
    throw error;
  }
}

function outputFields(frame: Uint8Array<ArrayBuffer>): Record<string, unknown> {
  return { direction: "stdout", payload: frame.toBase64() };
}
