import { openLibc, Pinned } from "./libc.ts";
import type { Logger } from "./logger.ts";
import { messageOf } from "./user_error.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** `struct cmsghdr` before its data. */
const CONTROL_BYTES = 16;
/** The longest address: two bytes of family, 108 of path. */
const MAX_PATH_BYTES = 108;

/** Tells the service manager how the agent is (sd_notify). */
export interface Notifier extends Disposable {
  /**
   * Sends assignments such as `READY=1`, one a line, and with them descriptors; whether they are on
   * their way. Never throws and never waits.
   */
  tell(state: string, descriptors?: readonly number[]): boolean;
}

/**
 * Opens the way to the service manager that NOTIFY_SOCKET names; undefined where none does. It goes
 * through the C library, because what a child would send is not the agent's word
 * (NotifyAccess=main). What does not work is warned of once.
 */
export function openNotifier(
  env: (name: string) => string | undefined,
  logger: Logger,
): Notifier | undefined {
  const name = env("NOTIFY_SOCKET");
  if (!name) return undefined;
  const warn = (error: unknown) =>
    logger.warn("service manager cannot be notified", {
      socket: name,
      error: messageOf(error),
    });
  try {
    return new LibcNotifier(socketAddress(name), () => warn("it does not take what is sent"));
  } catch (error) {
    warn(error);
    return undefined;
  }
}

/**
 * The address of a unix socket as the system takes it. "@" begins the name of an abstract one.
 *
 * @throws when the name is none of either.
 */
export function socketAddress(name: string): Uint8Array<ArrayBuffer> {
  if (!/^[/@]./.test(name)) throw new Error("it is neither a path nor an abstract name");
  const abstract = name.startsWith("@");
  // A path ends with a zero byte, an abstract name begins with one.
  const path = new TextEncoder().encode(abstract ? `\0${name.slice(1)}` : `${name}\0`);
  if (path.length > MAX_PATH_BYTES) throw new Error("its name is too long");
  const address = new Uint8Array(2 + path.length);
  new Uint16Array(address.buffer, 0, 1)[0] = AF_UNIX;
  address.set(path, 2);
  return address;
}

class LibcNotifier implements Notifier {
  readonly #address: Uint8Array<ArrayBuffer>;
  readonly #libc = openLibc();
  readonly #socket: number;
  #complain: (() => void) | undefined;

  constructor(address: Uint8Array<ArrayBuffer>, complain: () => void) {
    this.#address = address;
    this.#complain = complain;
    using opened = new DisposableStack();
    const libc = opened.use(this.#libc);
    const socket = libc.symbols.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    this.#socket = libc.check(socket, "no socket can be created");
    opened.move();
  }

  tell(state: string, descriptors: readonly number[] = []): boolean {
    using pinned = new Pinned();
    const place = (bytes: Uint8Array<ArrayBuffer>) => [
      pinned.addressOf(bytes),
      BigInt(bytes.length),
    ];
    const parts = new BigUint64Array(place(new TextEncoder().encode(state)));
    const control = controlOf(descriptors);
    const message = new BigUint64Array([
      ...place(this.#address),
      ...[pinned.addressOf(new Uint8Array(parts.buffer)), 1n],
      ...(control ? place(control) : [0n, 0n]),
      0n,
    ]);
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const sent = this.#libc.symbols.sendmsg(this.#socket, new Uint8Array(message.buffer), flags);
    if (Number(sent) >= 0) return true;
    this.#complain?.();
    this.#complain = undefined;
    return false;
  }

  [Symbol.dispose](): void {
    this.#libc.symbols.close(this.#socket);
    this.#libc[Symbol.dispose]();
  }
}

/** What brings descriptors along with a message; undefined for none. */
function controlOf(descriptors: readonly number[]): Uint8Array<ArrayBuffer> | undefined {
  if (descriptors.length === 0) return undefined;
  const length = CONTROL_BYTES + 4 * descriptors.length;
  const control = new Uint8Array(Math.ceil(length / 8) * 8);
  const view = new DataView(control.buffer);
  view.setBigUint64(0, BigInt(length), true);
  view.setInt32(8, SOL_SOCKET, true);
  view.setInt32(12, SCM_RIGHTS, true);
  descriptors.forEach((fd, at) => view.setInt32(CONTROL_BYTES + 4 * at, fd, true));
  return control;
}
