import { cString } from "./libc.ts";
import { openReadiness, type Readiness } from "./readiness.ts";
import { judgeAfter } from "./stall.ts";

/** A connection to the bus. */
type Bus = Deno.PointerValue;
/** A message on it. */
type Message = Deno.PointerValue;

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
  sd_bus_message_append_basic: { parameters: ["pointer", "u8", "buffer"], result: "i32" },
  sd_bus_message_open_container: { parameters: ["pointer", "u8", "buffer"], result: "i32" },
  sd_bus_message_close_container: { parameters: ["pointer"], result: "i32" },
  sd_bus_message_peek_type: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
  sd_bus_message_enter_container: { parameters: ["pointer", "u8", "pointer"], result: "i32" },
  sd_bus_message_exit_container: { parameters: ["pointer"], result: "i32" },
  sd_bus_message_read_basic: { parameters: ["pointer", "u8", "buffer"], result: "i32" },
  sd_bus_message_get_type: { parameters: ["pointer", "buffer"], result: "i32" },
  sd_bus_message_get_reply_cookie: { parameters: ["pointer", "buffer"], result: "i32" },
  sd_bus_message_get_error: { parameters: ["pointer"], result: "pointer" },
  sd_bus_message_get_path: { parameters: ["pointer"], result: "pointer" },
  sd_bus_message_get_member: { parameters: ["pointer"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/** How long the other side may take to answer, in milliseconds: as long as D-Bus gives it elsewhere. */
const ANSWER_MS = 25_000;

const [METHOD_RETURN, METHOD_ERROR, SIGNAL] = [2, 3, 4];

/** A value as it goes over the bus; 64-bit integers are read as `bigint`. */
export type BusValue = string | number | bigint | boolean | readonly BusValue[] | Variant;

/** A value that brings its type along. */
export class Variant {
  /** Its signature, of one complete type. */
  readonly type: string;
  /** The value. */
  readonly value: BusValue;

  /** A value to be sent; what is read comes without its wrapping. */
  constructor(type: string, value: BusValue) {
    this.type = type;
    this.value = value;
  }
}

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

/** The connection has ended, or cannot be made: what was asked may have been done or not. */
export class BusClosedError extends Error {
  static {
    this.prototype.name = "BusClosedError";
  }
}

/**
 * A connection to a D-Bus, by libsystemd, which is there wherever systemd runs the machine. Nothing
 * waits in the program's own thread: messages are handled when their descriptor is readable.
 */
export class SdBus implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #readiness: Readiness;
  readonly #bus: Bus;
  readonly #fd: number;
  readonly #onSignal: (signal: BusSignal) => void;
  readonly #calls = new Map<bigint, PromiseWithResolvers<BusValue[]>>();
  readonly #closed = Promise.withResolvers<void>();
  #isClosed = false;
  #isHandling = false;

  /**
   * Connects to the bus of an address such as `unix:path=/run/systemd/private`. `onSignal` hears of
   * all signals, and must not throw.
   *
   * @throws {BusClosedError} without the library, or anybody at the address.
   */
  constructor(address: string, onSignal: (signal: BusSignal) => void) {
    this.#onSignal = onSignal;
    using opened = new DisposableStack();
    try {
      const library = Deno.dlopen("libsystemd.so.0", SYMBOLS);
      opened.adopt(library, (library) => library.close());
      this.#library = library;
    } catch {
      throw new BusClosedError("this machine has no libsystemd");
    }
    const { symbols } = this.#library;
    const place = new BigUint64Array(1);
    this.#check(symbols.sd_bus_new(bytesOf(place)), "sd_bus_new");
    this.#bus = opened.adopt(
      pointerIn(place),
      (bus) => void symbols.sd_bus_close_unref(bus),
    );
    this.#check(symbols.sd_bus_set_address(this.#bus, cString(address)), address);
    this.#check(symbols.sd_bus_start(this.#bus), `${address} cannot be reached`);
    this.#fd = this.#check(symbols.sd_bus_get_fd(this.#bus), "sd_bus_get_fd");
    this.#readiness = openReadiness();
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
    this.#check(made, member);
    const message = pointerIn(place);
    try {
      this.#append(message, signature, args);
      const cookie = new BigUint64Array(1);
      this.#check(symbols.sd_bus_send(this.#bus, message, bytesOf(cookie)), member);
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

  /** Waits for what comes next, or for room for what is to be sent. */
  #listen(): void {
    if (this.#isHandling || this.#isClosed) return;
    try {
      const events = this.#check(this.#library.symbols.sd_bus_get_events(this.#bus), "bus");
      this.#readiness.wait(this.#fd, events).then(() => this.#handle());
    } catch {
      this[Symbol.dispose]();
    }
  }

  #handle(): void {
    if (this.#isClosed || this.#isHandling) return;
    const { symbols } = this.#library;
    this.#isHandling = true;
    try {
      const place = new BigUint64Array(1);
      while (this.#check(symbols.sd_bus_process(this.#bus, bytesOf(place)), "bus") > 0) {
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
      return this.#onSignal({ path, member, read: () => this.#readAll(message) });
    }
    const cookie = new BigUint64Array(1);
    symbols.sd_bus_message_get_reply_cookie(message, bytesOf(cookie));
    const call = this.#calls.get(cookie[0] ?? 0n);
    this.#calls.delete(cookie[0] ?? 0n);
    try {
      if (type[0] === METHOD_RETURN) call?.resolve(this.#readAll(message));
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

  #append(message: Message, signature: string, values: readonly BusValue[]): void {
    let from = 0;
    for (const value of values) {
      const to = endOfType(signature, from);
      this.#appendOne(message, signature.slice(from, to), value);
      from = to;
    }
  }

  #appendOne(message: Message, type: string, value: BusValue): void {
    const { symbols } = this.#library;
    const within = (kind: string, contents: string, values: readonly BusValue[], each: string) => {
      const code = kind.charCodeAt(0);
      const opened = symbols.sd_bus_message_open_container(message, code, cString(contents));
      this.#check(opened, type);
      this.#append(message, each, values);
      this.#check(symbols.sd_bus_message_close_container(message), type);
    };
    if (value instanceof Variant) return within("v", value.type, [value.value], value.type);
    if (typeof value === "object") {
      const inner = type.slice(1);
      if (type.startsWith("a")) return within("a", inner, value, inner.repeat(value.length));
      return within("r", inner.slice(0, -1), value, inner.slice(0, -1));
    }
    const bytes = basicBytes(type, value);
    const appended = symbols.sd_bus_message_append_basic(message, type.charCodeAt(0), bytes);
    this.#check(appended, type);
  }

  #readAll(message: Message): BusValue[] {
    const { symbols } = this.#library;
    const values: BusValue[] = [];
    const kind = new Uint8Array(1);
    const contents = new BigUint64Array(1);
    for (;;) {
      const there = symbols.sd_bus_message_peek_type(message, kind, bytesOf(contents));
      if (this.#check(there, "message") === 0) return values;
      const code = kind[0] ?? 0;
      if ("arev".includes(String.fromCharCode(code))) {
        const entered = symbols.sd_bus_message_enter_container(message, code, pointerIn(contents));
        this.#check(entered, "message");
        const inner = this.#readAll(message);
        this.#check(symbols.sd_bus_message_exit_container(message), "message");
        values.push(code === "v".charCodeAt(0) ? inner[0] ?? "" : inner);
      } else {
        const value = new BigUint64Array(1);
        const read = symbols.sd_bus_message_read_basic(message, code, bytesOf(value));
        this.#check(read, "message");
        values.push(basicValue(String.fromCharCode(code), value));
      }
    }
  }

  #check(result: number, what: string): number {
    if (result < 0) throw new BusClosedError(`${what} (errno ${-result})`);
    return result;
  }
}

/** Where the complete type ends that begins at a place of a signature. */
function endOfType(signature: string, at: number): number {
  const type = signature[at];
  if (type === undefined) throw new TypeError("more arguments than the signature has");
  if (type === "a") return endOfType(signature, at + 1);
  if (type !== "(") return at + 1;
  let end = at + 1;
  while (signature[end] !== ")") end = endOfType(signature, end);
  return end + 1;
}

function basicBytes(type: string, value: string | number | bigint | boolean) {
  if (typeof value === "string") return cString(value);
  const bytes = new Uint8Array(8);
  // Little-endian, as both machines are that the agent is built for.
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true);
  if (!"bhiutxyqn".includes(type)) throw new TypeError(`${type} is no type of a number`);
  return bytes;
}

function basicValue(type: string, place: BigUint64Array<ArrayBuffer>): BusValue {
  const view = new DataView(place.buffer);
  switch (type) {
    case "s":
    case "o":
    case "g":
      return textAt(pointerIn(place));
    case "b":
      return view.getInt32(0, true) !== 0;
    case "y":
      return view.getUint8(0);
    case "i":
    case "h":
      return view.getInt32(0, true);
    case "n":
      return view.getInt16(0, true);
    case "q":
      return view.getUint16(0, true);
    case "u":
      return view.getUint32(0, true);
    case "x":
      return view.getBigInt64(0, true);
    case "d":
      return view.getFloat64(0, true);
    default:
      return view.getBigUint64(0, true);
  }
}

function bytesOf(place: BigUint64Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(place.buffer);
}

function pointerIn(place: BigUint64Array): Deno.PointerValue {
  return Deno.UnsafePointer.create(place[0] ?? 0n);
}

function textAt(pointer: Deno.PointerValue | undefined): string {
  return pointer ? Deno.UnsafePointerView.getCString(pointer) : "";
}
