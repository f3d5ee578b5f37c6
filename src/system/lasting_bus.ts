import { delay } from "@std/async";
import { BusClosedError, type BusValue } from "./bus_message.ts";
import { type BusCall, type BusSignal, SdBus } from "./sd_bus.ts";

/** A connection that nobody needs is kept so long, in milliseconds. */
const IDLE_MS = 10_000;
/** How long the other side may be away, in milliseconds: PID 1 is while it executes itself anew. */
const AWAY_MS = 20_000;
const RECONNECT_MS = 50;
/** A call looks so often whether it is back: it may be there for a few moments alone. */
const RETRY_MS = 10;

/** What uses a {@linkcode LastingBus}. */
export interface BusUser {
  /** Hears the signals. */
  hear: (signal: BusSignal) => void;
  /** Whether signals are waited for: then a connection that is lost is made again. */
  listens: () => boolean;
  /** Hears that there is a connection again; what was said meanwhile is lost. */
  onBack: () => void;
}

/**
 * A connection to a bus that is made when it is used, made again when the other side closes it, and
 * closed at rest.
 */
export class LastingBus implements Disposable {
  readonly #address: string;
  readonly #user: BusUser;
  #bus: SdBus | undefined;
  #uses = 0;
  #usedMs = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #isReconnecting = false;
  /** Why the last try to connect has failed, and when the next one may be. */
  #problem: unknown;
  #nextTryMs = 0;
  #isClosed = false;

  /** Does nothing yet. */
  constructor(address: string, user: BusUser) {
    this.#address = address;
    this.#user = user;
  }

  /** Sees whether it can be reached. @throws why not. */
  probe(): void {
    this.#connect();
    this.#maybeIdle();
  }

  /** Makes a call once. @throws {BusClosedError} when the connection is lost over it. */
  call(call: BusCall): Promise<BusValue[]> {
    return this.#connect().call(call);
  }

  /** Does what makes calls, and again when the connection is lost over it: for what may be done twice. */
  async again<T>(work: (again: boolean) => Promise<T>): Promise<T> {
    const endMs = performance.now() + AWAY_MS;
    using _use = this.#use();
    for (let again = false;; again = true) {
      try {
        return await work(again);
      } catch (error) {
        const mayPass = error instanceof BusClosedError && !this.#isClosed;
        if (!mayPass || performance.now() >= endMs) throw error;
        await delay(RETRY_MS);
      }
    }
  }

  /** Keeps the connection, for whoever listens, until it is disposed of. */
  listen(): Disposable {
    const use = this.#use();
    void this.#reconnect();
    return use;
  }

  /** Closes the connection for good. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#idle);
    this.#bus?.[Symbol.dispose]();
  }

  #use(): Disposable {
    this.#uses++;
    return {
      [Symbol.dispose]: () => {
        this.#uses--;
        this.#maybeIdle();
      },
    };
  }

  #connect(): SdBus {
    if (this.#isClosed) throw new BusClosedError("it was disposed of");
    if (this.#bus) return this.#bus;
    // A try holds up all else for 10 ms: whoever waits has one with the others.
    if (this.#problem && performance.now() < this.#nextTryMs) throw this.#problem;
    try {
      this.#bus = new SdBus(this.#address, (signal) => this.#user.hear(signal));
      this.#problem = undefined;
    } catch (error) {
      this.#problem = error;
      this.#nextTryMs = performance.now() + RECONNECT_MS / 2;
      throw error;
    }
    const bus = this.#bus;
    void bus.closed.then(() => {
      if (this.#bus === bus) this.#bus = undefined;
      return this.#reconnect();
    });
    return bus;
  }

  /** Whoever listens must not miss anything for want of a connection. */
  async #reconnect(): Promise<void> {
    if (this.#bus || this.#isClosed || this.#isReconnecting) return;
    this.#isReconnecting = true;
    while (!this.#isClosed && !this.#bus && this.#user.listens()) {
      try {
        this.#connect();
      } catch {
        await delay(RECONNECT_MS);
      }
    }
    this.#isReconnecting = false;
    this.#user.onBack();
  }

  /** One timer, whatever is done meanwhile: it looks when it was used last. */
  #maybeIdle(): void {
    if (this.#uses > 0 || this.#isClosed) return;
    this.#usedMs = performance.now();
    this.#idle ??= this.#closeIdleAfter(IDLE_MS);
  }

  #closeIdleAfter(ms: number): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.#idle = undefined;
      if (this.#uses > 0) return;
      const restMs = this.#usedMs + IDLE_MS - performance.now();
      if (restMs > 0) this.#idle = this.#closeIdleAfter(restMs);
      else this.#bus?.[Symbol.dispose]();
    }, ms);
    Deno.unrefTimer(timer);
    return timer;
  }
}
