import { cString } from "./libc.ts";

/** A message on a bus. */
export type Message = Deno.PointerValue;

/** What is used of libsystemd's sd-bus for what is in a message. */
export const MESSAGE_SYMBOLS = {
  sd_bus_message_append_basic: { parameters: ["pointer", "u8", "buffer"], result: "i32" },
  sd_bus_message_open_container: { parameters: ["pointer", "u8", "buffer"], result: "i32" },
  sd_bus_message_close_container: { parameters: ["pointer"], result: "i32" },
  sd_bus_message_peek_type: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
  sd_bus_message_enter_container: { parameters: ["pointer", "u8", "pointer"], result: "i32" },
  enterKnownContainer: {
    name: "sd_bus_message_enter_container",
    parameters: ["pointer", "u8", "buffer"],
    result: "i32",
  },
  sd_bus_message_exit_container: { parameters: ["pointer"], result: "i32" },
  sd_bus_message_read_basic: { parameters: ["pointer", "u8", "buffer"], result: "i32" },
  sd_bus_message_skip: { parameters: ["pointer", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

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

/** The connection has ended, or cannot be made: what was asked may have been done or not. */
export class BusClosedError extends Error {
  static {
    this.prototype.name = "BusClosedError";
  }
}

/** Types by their letters. */
const [ARRAY, ENTRY, TEXT, VARIANT] = ["a", "e", "s", "v"].map((type) => type.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
];
const [ENTRIES, NAME_AND_VALUE, ANY_VALUE] = [cString("{sv}"), cString("sv"), cString("v")];

/** Values on their way into messages and out of them. */
export class BusMessages {
  readonly #symbols: Deno.DynamicLibrary<typeof MESSAGE_SYMBOLS>["symbols"];
  /** Where the library writes what it has read. */
  readonly #place: BigUint64Array<ArrayBuffer> = new BigUint64Array(1);
  readonly #placeBytes: Uint8Array<ArrayBuffer> = bytesOf(this.#place);
  readonly #kind: Uint8Array<ArrayBuffer> = new Uint8Array(1);

  /** `symbols` are the library's. */
  constructor(symbols: Deno.DynamicLibrary<typeof MESSAGE_SYMBOLS>["symbols"]) {
    this.#symbols = symbols;
  }

  /** Adds values to a message. */
  append(message: Message, signature: string, values: readonly BusValue[]): void {
    let from = 0;
    for (const value of values) {
      const to = endOfType(signature, from);
      this.#appendOne(message, signature.slice(from, to), value);
      from = to;
    }
  }

  #appendOne(message: Message, type: string, value: BusValue): void {
    const symbols = this.#symbols;
    const within = (kind: string, contents: string, values: readonly BusValue[], each: string) => {
      const code = kind.charCodeAt(0);
      const opened = symbols.sd_bus_message_open_container(message, code, cString(contents));
      checked(opened, type);
      this.append(message, each, values);
      checked(symbols.sd_bus_message_close_container(message), type);
    };
    if (value instanceof Variant) return within("v", value.type, [value.value], value.type);
    if (typeof value === "object") {
      const inner = type.slice(1);
      if (type.startsWith("a")) return within("a", inner, value, inner.repeat(value.length));
      return within("r", inner.slice(0, -1), value, inner.slice(0, -1));
    }
    const bytes = basicBytes(type, value);
    const appended = symbols.sd_bus_message_append_basic(message, type.charCodeAt(0), bytes);
    checked(appended, type);
  }

  /** All that a message says, from where it was read to. */
  readAll(message: Message): BusValue[] {
    const symbols = this.#symbols;
    const values: BusValue[] = [];
    const place = this.#place;
    for (;;) {
      const there = symbols.sd_bus_message_peek_type(message, this.#kind, this.#placeBytes);
      if (checked(there, "message") === 0) return values;
      const code = this.#kind[0] ?? 0;
      if ("arev".includes(String.fromCharCode(code))) {
        const entered = symbols.sd_bus_message_enter_container(message, code, pointerIn(place));
        checked(entered, "message");
        const inner = this.readAll(message);
        checked(symbols.sd_bus_message_exit_container(message), "message");
        values.push(code === VARIANT ? inner[0] ?? "" : inner);
      } else {
        values.push(this.#readBasic(message, code));
      }
    }
  }

  /**
   * What a signal `PropertiesChanged` says of the properties that are `wanted` of its interface. All
   * else is passed over: systemd tells of some forty properties whenever one of them changes.
   */
  readChanged(
    message: Message,
    wanted: ReadonlyMap<string, readonly string[]>,
  ): Map<string, BusValue> {
    const symbols = this.#symbols;
    const changed = new Map<string, BusValue>();
    const names = wanted.get(String(this.#readBasic(message, TEXT))) ?? [];
    if (names.length === 0) return changed;
    checked(symbols.enterKnownContainer(message, ARRAY, ENTRIES), "message");
    while (changed.size < names.length) {
      const entered = symbols.enterKnownContainer(message, ENTRY, NAME_AND_VALUE);
      if (checked(entered, "message") === 0) break;
      const name = String(this.#readBasic(message, TEXT));
      if (names.includes(name)) changed.set(name, this.readAll(message)[0] ?? "");
      else checked(symbols.sd_bus_message_skip(message, ANY_VALUE), "message");
      checked(symbols.sd_bus_message_exit_container(message), "message");
    }
    return changed;
  }

  #readBasic(message: Message, code: number): BusValue {
    const read = this.#symbols.sd_bus_message_read_basic(message, code, this.#placeBytes);
    checked(read, "message");
    return basicValue(String.fromCharCode(code), this.#place);
  }
}

/**
 * What a function of the library gives, unless that is an error.
 *
 * @throws {BusClosedError} that says of `what`.
 */
export function checked(result: number, what: string): number {
  if (result < 0) throw new BusClosedError(`${what} (errno ${-result})`);
  return result;
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

/** The bytes of a place that the library writes to. */
export function bytesOf(place: BigUint64Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(place.buffer);
}

/** The pointer that it has written there. */
export function pointerIn(place: BigUint64Array): Deno.PointerValue {
  return Deno.UnsafePointer.create(place[0] ?? 0n);
}

/** The text that a pointer of the library's points to. */
export function textAt(pointer: Deno.PointerValue | undefined): string {
  return pointer ? Deno.UnsafePointerView.getCString(pointer) : "";
}
