import {
  BusClosedError,
  BusMessages,
  type BusValue,
  bytesOf,
  checked,
  type Message,
  MESSAGE_SYMBOLS,
  pointerIn,
  textAt,
} from "./bus_message.ts";
import { cString } from "./libc.ts";
import { openReadiness, type Readiness } from "./readiness.ts";
import { judgeAfter } from "./stall.ts";

/** A connection to the bus. */
type Bus = Deno.PointerValue;

/** What is used of libsystemd's sd-bus: functions without a varying number of arguments alone. */
const SYMBOLS = {
  sd_bus_new: { parameters: ["buffer"], result: "i32" },
  sd_bus_set_address: { parameters: ["pointer", "buffer"], result: "i32" },
  sd_bus_start: { parameters: ["pointer"], result: "i32" },
  sd_bus_close_unref: { parameters: ["pointer"], result: "pointer" },
  sd_bus_get_fd: { parameters: ["pointer"], result: "i32" },
  sd_bus_get_events: { parameters: ["pointer"], result: "i32" },
  sd_bus_process: { parameters: ["pointer", "buffer"], result: "i32" },
  sd_bus_send: { parameters: ["pointer", "pointer", "buffer"], result: "i32" },
  sd_bus_message_new_method_call: {
    parameters: ["pointer", "buffer", "buffer", "buffer", "buffer", "buffer"],
    result: "i32",
  },
  sd_bus_message_unref: { parameters: ["pointer"], result: "pointer" },
  ...MESSAGE_SYMBOLS,
  sd_bus_message_get_type: { parameters: ["pointer", "buffer"], result: "i32" },
  sd_bus_message_get_reply_cookie: { parameters: ["pointer", "buffer"], result: "i32" },
  sd_bus_message_get_error: { parameters: ["pointer"], result: "pointer" },
  sd_bus_message_get_path: { parameters: ["pointer"], result: "pointer" },
  sd_bus_message_get_member: { parameters: ["pointer"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/** How long the other side may take to answer, in milliseconds: as long as D-Bus gives it elsewhere. */
const ANSWER_MS = 25_000;

const [METHOD_RETURN, METHOD_ERROR, SIGNAL] = [2, 3, 4];

/** A method to be called, and what it is given. */
export interface BusCall {
  /** Who has it, such as `org.freedesktop.systemd1`. */
  destination: string;
  /** The object. */
  path: string;
  /** The method's interface. */
  face: string;
  /** The method. */
  member: string;
  /** The types of the arguments. */
  signature?: string;
  /** The arguments. */
  args?: readonly BusValue[];
}

/** Something that was told to everybody. */
export interface BusSignal {
  /** The object it is about. */
  path: string;
  /** Its name. */
  member: string;
  /** Reads what it says. */
  read(): BusValue[];
  /** Reads what it says of properties that are wanted, by their interfaces. */
  readChanged(wanted: ReadonlyMap<string, readonly string[]>): Map<string, BusValue>;
}

/** The other side has refused a call. */
export class BusError extends Error {
  static {
    this.prototype.name = "BusError";
  }
  /** Why, as a name of D-Bus's: `org.freedesktop.systemd1.NoSuchUnit`. */
  readonly code: string;

  /** `message` is the other side's text. */
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * A connection to a D-Bus, by libsystemd, which is there wherever systemd runs the machine. Nothing
 * waits in the program's own thread: messages are handled when their descriptor is readable.
 */
export class SdBus implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #messages: BusMessages;
  readonly #readiness: Readiness;
  readonly #bus: Bus;
  readonly #fd: number;
  readonly #onSignal: (signal: BusSignal) => void;
  readonly #calls = new Map<bigint, PromiseWithResolvers<BusValue[]>>();
  readonly #closed = Promise.withResolvers<void>();
  #isClosed = false;
  #isHandling = false;
  /** The events that are waited for now. */
  #awaited: number | undefined;

  /**
   * Connects to the bus of an address such as `unix:path=/run/systemd/private`. `onSignal` hears of
   * all signals, and must not throw. It disposes of the `readiness` by which it waits.
   *
   * @throws {BusClosedError} without the library, or anybody at the address.
   */
  constructor(
    address: string,
    onSignal: (signal: BusSignal) => void,
    readiness: Readiness = openReadiness(),
  ) {
    this.#onSignal = onSignal;
    this.#readiness = readiness;
    using opened = new DisposableStack();
    opened.use(readiness);
    try {
      const library = Deno.dlopen("libsystemd.so.0", SYMBOLS);
      opened.adopt(library, (library) => library.close());
      this.#library = library;
    } catch {
      throw new BusClosedError("this machine has no libsystemd");
    }
    const { symbols } = this.#library;
    this.#messages = new BusMessages(symbols);
    const place = new BigUint64Array(1);
    checked(symbols.sd_bus_new(bytesOf(place)), "sd_bus_new");
    this.#bus = opened.adopt(
      pointerIn(place),
      (bus) => void symbols.sd_bus_close_unref(bus),
    );
    checked(symbols.sd_bus_set_address(this.#bus, cString(address)), address);
    checked(symbols.sd_bus_start(this.#bus), `${address} cannot be reached`);
    this.#fd = checked(symbols.sd_bus_get_fd(this.#bus), "sd_bus_get_fd");
    opened.move();
    this.#listen();
  }

  /** Resolves when the connection has ended. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /**
   * Calls a method; gives what it returns.
   *
   * @throws {BusError} when it refuses, and {@linkcode BusClosedError} when there is no answer.
   */
  call(
    { destination, path, face, member, signature = "", args = [] }: BusCall,
  ): Promise<BusValue[]> {
    if (this.#isClosed) return Promise.reject(new BusClosedError("the bus is closed"));
    const { symbols } = this.#library;
    const place = new BigUint64Array(1);
    const [to, at, of, name] = [destination, path, face, member].map(cString);
    if (!to || !at || !of || !name) throw new TypeError("a call without a name");
    const made = symbols.sd_bus_message_new_method_call(
      this.#bus,
      bytesOf(place),
      to,
      at,
      of,
      name,
    );
    checked(made, member);
    const message = pointerIn(place);
    try {
      this.#messages.append(message, signature, args);
      const cookie = new BigUint64Array(1);
      checked(symbols.sd_bus_send(this.#bus, message, bytesOf(cookie)), member);
      return this.#answerTo(cookie[0] ?? 0n, member);
    } finally {
      symbols.sd_bus_message_unref(message);
      // Behind the last use of the library: this closes it where the connection has ended.
      this.#listen();
    }
  }

  #answerTo(cookie: bigint, member: string): Promise<BusValue[]> {
    const answer = Promise.withResolvers<BusValue[]>();
    this.#calls.set(cookie, answer);
    const cancel = judgeAfter(ANSWER_MS, () => {
      this.#calls.delete(cookie);
      answer.reject(new BusClosedError(`${member} was not answered within ${ANSWER_MS / 1_000} s`));
    });
    return answer.promise.finally(cancel);
  }

  /** Closes the connection; calls that wait for an answer are told. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#readiness.forget(this.#fd);
    this.#readiness[Symbol.dispose]();
    if (!this.#isHandling) this.#free();
    for (const call of this.#calls.values()) call.reject(new BusClosedError("the bus was closed"));
    this.#calls.clear();
    this.#closed.resolve();
  }

  /** Nothing of the library is used from here on. */
  #free(): void {
    this.#library.symbols.sd_bus_close_unref(this.#bus);
    this.#library.close();
  }

  /** Waits for what comes next, or for room for what is to be sent; once, whoever asks. */
  #listen(): void {
    if (this.#isHandling || this.#isClosed) return;
    try {
      const events = checked(this.#library.symbols.sd_bus_get_events(this.#bus), "bus");
      if (events === this.#awaited) return;
      const isWaiting = this.#awaited !== undefined;
      this.#awaited = events;
      const ready = this.#readiness.wait(this.#fd, events);
      if (!isWaiting) void ready.then(() => this.#handle());
    } catch {
      this[Symbol.dispose]();
    }
  }

  #handle(): void {
    this.#awaited = undefined;
    if (this.#isClosed || this.#isHandling) return;
    const { symbols } = this.#library;
    this.#isHandling = true;
    try {
      const place = new BigUint64Array(1);
      while (checked(symbols.sd_bus_process(this.#bus, bytesOf(place)), "bus") > 0) {
        const message = pointerIn(place);
        place[0] = 0n;
        if (message === null) continue;
        try {
          this.#take(message);
        } finally {
          symbols.sd_bus_message_unref(message);
        }
        if (this.#isClosed) return;
      }
    } catch {
      return this[Symbol.dispose]();
    } finally {
      this.#isHandling = false;
      if (this.#isClosed) this.#free();
    }
    this.#listen();
  }

  #take(message: Message): void {
    const { symbols } = this.#library;
    const type = new Uint8Array(1);
    symbols.sd_bus_message_get_type(message, type);
    if (type[0] === SIGNAL) {
      const path = textAt(symbols.sd_bus_message_get_path(message));
      const member = textAt(symbols.sd_bus_message_get_member(message));
      const messages = this.#messages;
      return this.#onSignal({
        ...{ path, member },
        read: () => messages.readAll(message),
        readChanged: (wanted) => messages.readChanged(message, wanted),
      });
    }
    const cookie = new BigUint64Array(1);
    symbols.sd_bus_message_get_reply_cookie(message, bytesOf(cookie));
    const call = this.#calls.get(cookie[0] ?? 0n);
    this.#calls.delete(cookie[0] ?? 0n);
    try {
      if (type[0] === METHOD_RETURN) call?.resolve(this.#messages.readAll(message));
      if (type[0] === METHOD_ERROR) call?.reject(this.#errorOf(message));
    } catch (error) {
      // An answer that cannot be read is the call's alone.
      call?.reject(error);
    }
  }

  /** `sd_bus_error` begins with two texts: its name and its message. */
  #errorOf(message: Message): BusError {
    const error = this.#library.symbols.sd_bus_message_get_error(message);
    const texts = error && new Deno.UnsafePointerView(error);
    return new BusError(textAt(texts?.getPointer(0)), textAt(texts?.getPointer(8)));
  }
}
