import { delay } from "@std/async";
import {
  cString,
  type Libc,
  LibcError,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  openLibc,
  Pinned,
} from "../system/libc.ts";
import { openReadiness, type Readiness } from "../system/readiness.ts";
import type { OutputSpool } from "./output_spool.ts";
import { type Size, type TerminalPty, untilSilent } from "./pty.ts";
import { PtyInput } from "./pty_input.ts";
import { openTty, type Tty } from "./tty.ts";

const O_NOCTTY = 0o400;
const MODE = 0o600;
const TIOCGPTN = 0x80045430n;
const TIOCSPTLCK = 0x40045431n;
const TIOCGPTPEER = 0x5441n;
const TIOCSWINSZ = 0x5414n;
const NO_WAIT = 2;
const [EAGAIN, EINVAL] = [11, 22];
/** So much is moved at once, and as often before others get their turn. */
const CHUNK_BYTES = 65_536;
const MAX_CHUNKS = 4;
/** A pipe takes so many bytes whole or not at all. */
const COPY_BYTES = 4096;
/** A disk that refuses is tried again after this time, in milliseconds. */
const DISK_RETRY_MS = 1_000;

/** The two descriptors of a pseudo terminal that outlive the agent. */
export interface KeptDescriptors {
  /** The side that is read and written here. */
  master: number;
  /** A pipe for what is on its way from it to the disk; open on both ends. */
  pipe: number;
}

/** Closes them. */
export function closeKept({ master, pipe }: KeptDescriptors): void {
  using libc = openLibc();
  for (const fd of [master, pipe]) if (fd >= 0) libc.symbols.close(fd);
}

/** Opens a new pseudo terminal, and a pipe with this path. @throws when the machine has none left. */
export function openUnitPty(pipePath: string): KeptDescriptors {
  using libc = openLibc();
  const { symbols, check } = libc;
  const flags = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
  const master = check(symbols.open(cString("/dev/ptmx"), flags, 0), "/dev/ptmx");
  try {
    using pinned = new Pinned();
    const unlock = pinned.addressOf(new Uint8Array(4));
    check(symbols.ioctl(master, TIOCSPTLCK, unlock), "TIOCSPTLCK");
    check(symbols.mkfifo(cString(pipePath), MODE), pipePath);
    return { master, pipe: check(symbols.open(cString(pipePath), flags, 0), pipePath) };
  } catch (error) {
    symbols.close(master);
    throw error;
  }
}

/**
 * A pseudo terminal whose descriptors the service manager has as well, and whose output the kernel
 * moves into a file. Whenever this process ends, the next one goes on with the next byte.
 */
export class UnitPty implements TerminalPty {
  /** Where a shell opens its side. */
  readonly path: string;
  readonly #libc: Libc;
  readonly #readiness: Readiness;
  readonly #tty: Tty;
  readonly #fds: KeptDescriptors;
  readonly #spool: OutputSpool;
  readonly #onOutput: () => void;
  readonly #input: PtyInput;
  /** Held until the shell has ended: without it the first process to leave would end the reading. */
  #terminalFd: number | undefined;
  #resumed: PromiseWithResolvers<void> | undefined;
  #reads = 0;
  readonly #closed = Promise.withResolvers<void>();
  #isClosed = false;
  #isDisposed = false;

  /**
   * Reads at once, into the file; `fds` become its own.
   *
   * @throws when they are not those of a pseudo terminal; they are closed then.
   */
  constructor(fds: KeptDescriptors, spool: OutputSpool, onOutput: () => void) {
    this.#fds = fds;
    this.#spool = spool;
    this.#onOutput = onOutput;
    using opened = new DisposableStack();
    opened.defer(() => closeKept(fds));
    this.#libc = opened.use(openLibc());
    this.#readiness = opened.use(openReadiness());
    this.#tty = opened.use(openTty());
    const { symbols, check } = this.#libc;
    const number = new Uint8Array(4);
    using pinned = new Pinned();
    check(symbols.ioctl(fds.master, TIOCGPTN, pinned.addressOf(number)), "TIOCGPTN");
    this.path = `/dev/pts/${new DataView(number.buffer).getInt32(0, true)}`;
    const flags = BigInt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    this.#terminalFd = check(symbols.ioctl(fds.master, TIOCGPTPEER, flags), "TIOCGPTPEER");
    this.#tty.editUtf8(fds.master);
    this.#input = new PtyInput(this.#tty, {
      master: fds.master,
      terminal: () => this.#terminalFd,
    });
    opened.move();
    void this.#read();
  }

  /** Writes input in order, however slowly it is read; false if too much of it waits already. */
  write(bytes: Uint8Array<ArrayBuffer>): boolean {
    return this.#isClosed || this.#input.write(bytes);
  }

  /** Tells the programs a new size. */
  resize({ cols, rows }: Size): void {
    if (this.#isClosed) return;
    const size = new Uint8Array(new Uint16Array([rows, cols, 0, 0]).buffer);
    using pinned = new Pinned();
    this.#libc.symbols.ioctl(this.#fds.master, TIOCSWINSZ, pinned.addressOf(size));
  }

  /** Stops reading: the terminal fills, and the programs wait. */
  pause(): void {
    this.#resumed ??= Promise.withResolvers();
  }

  /** Reads again. */
  resume(): void {
    this.#resumed?.resolve();
    this.#resumed = undefined;
  }

  /** Reads what is left once the shell has ended, which may be nothing, and closes the terminal. */
  async finish(): Promise<void> {
    this.resume();
    await delay(0);
    this.#releaseTerminal();
    await untilSilent(this.#closed.promise, () => this.#reads);
    this[Symbol.dispose]();
  }

  /** Lets the terminal go; what the service manager has of it stays. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#close();
    this.resume();
    this.#readiness.forget(this.#fds.master);
    this.#readiness[Symbol.dispose]();
    this.#releaseTerminal();
    for (const fd of [this.#fds.master, this.#fds.pipe]) this.#libc.symbols.close(fd);
    this.#tty[Symbol.dispose]();
    this.#libc[Symbol.dispose]();
  }

  async #read(): Promise<void> {
    // An earlier agent may have been killed over it.
    await this.#settle();
    while (!this.#isClosed) {
      if (this.#resumed) {
        await this.#resumed.promise;
        continue;
      }
      await this.#readiness.wait(this.#fds.master);
      for (let chunk = 0; chunk < MAX_CHUNKS && !this.#isClosed && !this.#resumed; chunk++) {
        if (!this.#move()) break;
        await this.#settle();
      }
    }
  }

  /** Moves what the terminal has into the pipe; whether there was something. */
  #move(): boolean {
    try {
      return this.#splice() > 0;
    } catch (error) {
      const isEmpty = error instanceof LibcError && error.errno === EAGAIN;
      // Any other error is how Linux reports that nobody has the terminal open any more.
      if (!isEmpty) this.#close();
      return false;
    }
  }

  #splice(): number {
    const { symbols, check } = this.#libc;
    const { master, pipe } = this.#fds;
    try {
      return check(symbols.splice(master, null, pipe, null, BigInt(CHUNK_BYTES), NO_WAIT), "");
    } catch (error) {
      // Before Linux 5.11 terminals cannot be spliced.
      if (error instanceof LibcError && error.errno === EINVAL) return this.#copy();
      throw error;
    }
  }

  /** As {@linkcode UnitPty.#splice}, but for a kill between reading and writing, which loses that. */
  #copy(): number {
    const { symbols, check } = this.#libc;
    const bytes = new Uint8Array(COPY_BYTES);
    const read = check(symbols.read(this.#fds.master, bytes, BigInt(bytes.length)), "");
    return check(symbols.write(this.#fds.pipe, bytes, BigInt(read)), "");
  }

  /** Moves what is in the pipe to the disk, for as long as that takes. */
  async #settle(): Promise<void> {
    while (!this.#isDisposed) {
      try {
        if (this.#spool.receive(this.#fds.pipe, CHUNK_BYTES) === 0) return;
        this.#reads++;
        return this.#onOutput();
      } catch {
        await delay(DISK_RETRY_MS);
      }
    }
  }

  #close(): void {
    this.#isClosed = true;
    this.#input[Symbol.dispose]();
    this.#closed.resolve();
  }

  #releaseTerminal(): void {
    if (this.#terminalFd !== undefined) this.#libc.symbols.close(this.#terminalFd);
    this.#terminalFd = undefined;
  }
}
