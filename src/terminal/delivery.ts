import { setTimeout as delay } from "@std/async";
import { type Ack, LinkDroppedError, NoAckError, type RealtimeLink } from "../realtime/link.ts";
import type { Logger } from "../system/logger.ts";
import { type Numbering, SequenceLedger } from "./sequence.ts";

/** How long the first acknowledgement may take before the server is taken to send none, in milliseconds. */
const FIRST_ACK_MS = 5_000;
/** How long a later acknowledgement may take before it is taken to be lost, in milliseconds. */
const ACK_MS = 20_000;
/** The pace of frames that nobody acknowledges, in milliseconds: faster ones would pile up. */
const UNACKNOWLEDGED_PACE_MS = 10;

/** The server takes no more output of the session; the message says why. */
export class OutputRefusedError extends Error {}

/** How the control plane acknowledges events: older ones do not. All sessions learn it together. */
export class Acknowledgements {
  /** What is known of it. */
  state: "unknown" | "sent" | "not sent" = "unknown";
  /** What the numbers in its acknowledgements count. */
  readonly numbering: Numbering = {};
  /** How long to wait for the first, in milliseconds. */
  readonly firstMs: number;

  /** Makes one that knows nothing yet. */
  constructor(firstMs = FIRST_ACK_MS) {
    this.firstMs = firstMs;
  }
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
}

/** Brings the events of one session to the server: in order, each once, one at a time. */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #ledger: SequenceLedger;

  /** Makes one for a session. */
  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#ledger = new SequenceLedger(options.acks.numbering);
  }

  /**
   * Sends an event that may arrive twice; resolves with the acknowledgement, or with undefined
   * if the control plane sends none.
   *
   * @throws the signal's reason when it aborts; nothing is sent from then on.
   */
  async tell(
    event: string,
    fields: Record<string, unknown>,
    signal: AbortSignal,
  ): Promise<Ack | undefined> {
    for (;;) {
      const ack = await this.#request(event, fields, signal);
      if (ack !== "lost") return ack;
    }
  }

  /**
   * Sends the next frame of output; resolves when the server has stored it.
   *
   * @throws {OutputRefusedError} when the server takes no more, the signal's reason when it aborts.
   */
  async output(frame: Uint8Array<ArrayBuffer>): Promise<void> {
    const fields = outputFields(frame);
    for (;;) {
      const inputs = this.#options.inputs();
      const ack = await this.#request("terminal.output", fields);
      if (ack !== "lost") return this.#noteStored(ack, inputs);
      if (await this.#wasStored()) return;
    }
  }

  /** An empty frame is numbered like any other: its number tells whether the last one was stored. */
  async #wasStored(): Promise<boolean> {
    const { inputs, logger } = this.#options;
    for (let lostProbes = 0;; lostProbes++) {
      const ack = await this.#request("terminal.output", outputFields(new Uint8Array()));
      if (ack === "lost") continue;
      if (!ack?.ok || typeof ack.seq !== "number") return false;
      const verdict = this.#ledger.resolve(ack.seq, inputs(), lostProbes);
      logger.debug("output goes on after a lost acknowledgement", { verdict });
      return verdict === "stored";
    }
  }

  #noteStored(ack: Ack | undefined, inputs: number): void {
    if (!ack) return;
    if (!ack.ok) {
      throw new OutputRefusedError(
        `the control plane refuses output: ${ack.message ?? "no reason"}`,
      );
    }
    if (ack.seq === null) {
      throw new OutputRefusedError("the control plane takes no more output of this session");
    }
    if (ack.seq !== undefined) this.#ledger.acknowledged(ack.seq, inputs);
  }

  /** Sends once the server can be reached: "lost" if it is then not known whether it arrived. */
  async #request(
    event: string,
    fields: Record<string, unknown>,
    signal = this.#options.signal,
  ): Promise<Ack | undefined | "lost"> {
    const { link, acks, sessionId } = this.#options;
    signal.throwIfAborted();
    if (!link.ready) await link.whenReady(signal);
    const payload = { type: event, sessionId, ...fields };
    if (acks.state === "not sent") return await this.#emit(event, payload, signal);
    const limitMs = acks.state === "sent" ? ACK_MS : acks.firstMs;
    try {
      const ack = await orAborted(link.request(event, payload, limitMs), signal);
      acks.state = "sent";
      return ack;
    } catch (error) {
      if (error instanceof LinkDroppedError) return "lost";
      if (!(error instanceof NoAckError)) throw error;
      if (acks.state === "sent") return "lost";
      if (acks.state === "unknown") {
        this.#options.logger.warn("control plane acknowledges nothing", {
          lost: "terminals cannot be told from lost or reordered output after a reconnect",
        });
      }
      acks.state = "not sent";
      return undefined;
    }
  }

  async #emit(
    event: string,
    payload: Record<string, unknown>,
    signal: AbortSignal,
  ): Promise<undefined> {
    do {
      await delay(UNACKNOWLEDGED_PACE_MS, undefined, { signal });
    } while (!this.#options.link.emit(event, payload));
  }
}

/** Like `work`, but throws the signal's reason when it aborts first. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function outputFields(frame: Uint8Array<ArrayBuffer>): Record<string, unknown> {
  return { direction: "stdout", payload: frame.toBase64() };
}
