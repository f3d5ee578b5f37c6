import { delay } from "@std/async";
import * as z from "@zod/zod";
import { Backoff } from "../system/backoff.ts";
import { pauseUntil } from "../system/deadline.ts";
import { openTty, type Tty } from "./tty.ts";

/** How many columns and rows a terminal shows. */
export interface Size {
  /** Characters a line. */
  cols: number;
  /** Lines. */
  rows: number;
}

/** The most input that may wait for a program that does not read, in bytes. */
export const MAX_WAITING_INPUT = 8 * 1024 * 1024;
/** How often it is looked for more output after the shell's end, in milliseconds. */
const LOOK_MS = 25;
/** After so many looks at nothing new its output is taken to have ended. */
const QUIET_LOOKS = 4;
/** Background processes that hold the terminal may go on writing for so many looks. */
const MAX_LOOKS = 40;
/** How soon a full terminal is tried again: nothing reports when it takes input again. */
const RETRY = { firstMs: 1, maxMs: 32, random: () => 1 };
/** A program that takes no input for so long does not read: what interrupts it need not wait. */
const STUCK_MS = 250;
/** How far behind the PTY's own descriptor the terminal's is looked for; it may be before it too. */
const MAX_DESCRIPTORS_BEHIND = 256;

interface Stream {
  on(event: "data", listener: (bytes: Uint8Array<ArrayBuffer>) => void): void;
  on(event: "error" | "close", listener: () => void): void;
  removeAllListeners(event: "error"): void;
  pause(): void;
  resume(): void;
  destroy(): void;
}

/** What node-pty's `open`, which its types leave out, returns. */
interface OpenedPty {
  readonly master: Stream;
  readonly slave: Stream;
  readonly fd: number;
  readonly ptsName: string;
  resize(cols: number, rows: number): void;
}

const NodePty = z.object({
  open: z.custom<(options: Size & { encoding: null }) => OpenedPty>(
    (value) => typeof value === "function",
  ),
});

/**
 * A pseudo terminal whose other side a shell is started on. Bytes are neither lost nor changed,
 * whether the reader pauses, the input is large, or the shell ends.
 */
export class Pty implements Disposable {
  /** Where a shell opens its side. */
  readonly path: string;
  readonly #pty: OpenedPty;
  readonly #tty: Tty;
  /** Held until the shell has ended: without it the first process to leave would end the reading. */
  #terminalFd: number | undefined;
  #input: Uint8Array<ArrayBuffer>[] = [];
  #waitingInput = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #pace = new Backoff(RETRY);
  /** When input was last taken, and whether some came since it was looked through for signals. */
  #takenMs = 0;
  #isUnsearched = false;
  #reads = 0;
  readonly #closed = Promise.withResolvers<void>();
  #isClosed = false;
  #isDisposed = false;

  /**
   * Opens a pseudo terminal that reads at once; `loadTty` is for tests.
   *
   * @throws when node-pty or the C library cannot be loaded, or the machine has no terminal left.
   */
  static async open(
    size: Size,
    onData: (bytes: Uint8Array<ArrayBuffer>) => void,
    loadTty: () => Tty = openTty,
  ): Promise<Pty> {
    // In a bundle what the package exports is in its default export alone.
    const { default: nodePty } = await import("node-pty");
    const { open } = NodePty.parse(nodePty);
    using opened = new DisposableStack();
    const tty = opened.use(loadTty());
    const pty = opened.adopt(open({ ...size, encoding: null }), ({ master }) => master.destroy());
    const made = new Pty(pty, tty, onData);
    opened.move();
    return made;
  }

  private constructor(
    pty: OpenedPty,
    tty: Tty,
    onData: (bytes: Uint8Array<ArrayBuffer>) => void,
  ) {
    this.#pty = pty;
    this.#tty = tty;
    this.path = pty.ptsName;
    // node-pty would read from the shell's side too and take its input away.
    pty.slave.destroy();
    tty.closeOnExec(pty.fd);
    tty.editUtf8(pty.fd);
    this.#terminalFd = this.#findTerminal();
    tty.closeOnExec(this.#terminalFd);
    pty.master.on("data", (bytes) => {
      this.#reads++;
      onData(bytes);
    });
    const closed = () => {
      this.#isClosed = true;
      this.#closed.resolve();
    };
    // An error is how Linux reports that nobody has the terminal open any more; node-pty throws it.
    pty.master.removeAllListeners("error");
    pty.master.on("error", closed);
    pty.master.on("close", closed);
  }

  /** node-pty does not tell the number of the descriptor that destroying its stream leaves open. */
  #findTerminal(): number {
    const { fd } = this.#pty;
    for (let other = 0; other <= fd + MAX_DESCRIPTORS_BEHIND; other++) {
      if (other !== fd && this.#tty.terminalName(other) === this.path) return other;
    }
    throw new Error(`the descriptor of ${this.path} cannot be found`);
  }

  /** Writes input in order, however slowly it is read; false if too much of it waits already. */
  write(bytes: Uint8Array<ArrayBuffer>): boolean {
    if (this.#isClosed || bytes.length === 0) return true;
    if (this.#waitingInput + bytes.length > MAX_WAITING_INPUT) return false;
    this.#input.push(bytes);
    this.#waitingInput += bytes.length;
    this.#isUnsearched = true;
    if (this.#retry !== undefined) return true;
    this.#takenMs = performance.now();
    this.#flush();
    return true;
  }

  /** Nothing reports that a terminal takes input again, so it is tried. */
  #flush(): void {
    this.#retry = undefined;
    for (let head = this.#input[0]; head !== undefined; head = this.#input[0]) {
      const written = this.#isClosed ? head.length : this.#tty.write(this.#pty.fd, head);
      if (written === 0) {
        if (performance.now() - this.#takenMs > STUCK_MS && this.#interrupt()) continue;
        this.#retry = setTimeout(() => this.#flush(), this.#pace.next());
        return;
      }
      this.#pace.reset();
      this.#takenMs = performance.now();
      this.#drop(written);
    }
  }

  /** Takes so many bytes off the beginning of what waits. */
  #drop(bytes: number): void {
    this.#waitingInput -= bytes;
    for (let head = this.#input[0]; head !== undefined && bytes > 0; head = this.#input[0]) {
      if (bytes < head.length) this.#input[0] = head.subarray(bytes);
      else this.#input.shift();
      bytes -= head.length;
    }
  }

  /**
   * Does with the last key that makes a signal what the kernel does when it gets there: all that was
   * typed before is dropped. It would wait behind input that nobody reads. False if there is none.
   */
  #interrupt(): boolean {
    if (!this.#isUnsearched || this.#terminalFd === undefined) return false;
    this.#isUnsearched = false;
    const signals = this.#tty.signals(this.#pty.fd);
    if (signals.size === 0) return false;
    let behind = this.#waitingInput;
    for (const bytes of this.#input.toReversed()) {
      behind -= bytes.length;
      const at = bytes.findLastIndex((byte) => signals.has(byte));
      const signal = signals.get(bytes[at] ?? -1);
      if (signal === undefined) continue;
      this.#drop(behind + at + 1);
      this.#tty.interrupt(this.#pty.fd, this.#terminalFd, signal);
      this.#takenMs = performance.now();
      return true;
    }
    return false;
  }

  /** Tells the programs a new size. */
  resize({ cols, rows }: Size): void {
    if (!this.#isClosed) this.#pty.resize(cols, rows);
  }

  /** Stops reading: the terminal fills, and the programs wait. */
  pause(): void {
    this.#pty.master.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#pty.master.resume();
  }

  /** Reads what is left once the shell has ended, which may be nothing, and closes the terminal. */
  async finish(): Promise<void> {
    this.resume();
    // The stream hands out what it holds before it can see the end.
    await delay(0);
    this.#releaseTerminal();
    // Looks are counted, not time: after a stall of the agent there may be more to read.
    for (let looks = 0, quiet = 0; looks < MAX_LOOKS && quiet < QUIET_LOOKS; looks++) {
      const before = this.#reads;
      if (this.#isClosed || await pauseUntil(this.#closed.promise, LOOK_MS)) break;
      quiet = before === this.#reads ? quiet + 1 : 0;
    }
    this[Symbol.dispose]();
  }

  /** Closes the terminal without reading what is left. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#input = [];
    this.#releaseTerminal();
    this.#tty[Symbol.dispose]();
    this.#pty.master.destroy();
  }

  #releaseTerminal(): void {
    if (this.#terminalFd !== undefined) this.#tty.close(this.#terminalFd);
    this.#terminalFd = undefined;
  }
}
