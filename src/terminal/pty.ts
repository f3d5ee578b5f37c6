import { delay } from "@std/async";
import * as z from "@zod/zod";
import { pauseUntil } from "../system/deadline.ts";
import { PtyInput } from "./pty_input.ts";
import { openTty, type Tty } from "./tty.ts";

/** How many columns and rows a terminal shows. */
export interface Size {
  /** Characters a line. */
  cols: number;
  /** Lines. */
  rows: number;
}

/** A pseudo terminal whose other side a shell is on. */
export interface TerminalPty extends Disposable {
  /** Where a shell opens its side. */
  readonly path: string;
  /** Writes input in order, however slowly it is read; false if too much of it waits already. */
  write(bytes: Uint8Array<ArrayBuffer>): boolean;
  /** Tells the programs a new size. */
  resize(size: Size): void;
  /** Stops reading: the terminal fills, and the programs wait. */
  pause(): void;
  /** Reads again. */
  resume(): void;
  /** Reads what is left once the shell has ended, which may be nothing, and closes the terminal. */
  finish(): Promise<void>;
}

/** How often it is looked for more output after the shell's end, in milliseconds. */
const LOOK_MS = 25;
/** After so many looks at nothing new its output is taken to have ended. */
const QUIET_LOOKS = 4;
/** Background processes that hold the terminal may go on writing for so many looks. */
const MAX_LOOKS = 40;
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
export class Pty implements TerminalPty {
  /** Where a shell opens its side. */
  readonly path: string;
  readonly #pty: OpenedPty;
  readonly #tty: Tty;
  /** Held until the shell has ended: without it the first process to leave would end the reading. */
  #terminalFd: number | undefined;
  readonly #input: PtyInput;
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
    this.#input = new PtyInput(tty, { master: pty.fd, terminal: () => this.#terminalFd });
    pty.master.on("data", (bytes) => {
      this.#reads++;
      onData(bytes);
    });
    const closed = () => {
      this.#isClosed = true;
      this.#input[Symbol.dispose]();
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
    return this.#isClosed || this.#input.write(bytes);
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
    await untilSilent(this.#closed.promise, () => this.#reads);
    this[Symbol.dispose]();
  }

  /** Closes the terminal without reading what is left. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = this.#isClosed = true;
    this.#input[Symbol.dispose]();
    this.#releaseTerminal();
    this.#tty[Symbol.dispose]();
    this.#pty.master.destroy();
  }

  #releaseTerminal(): void {
    if (this.#terminalFd !== undefined) this.#tty.close(this.#terminalFd);
    this.#terminalFd = undefined;
  }
}

/**
 * Waits until a terminal whose shell has ended is closed, or silent, or has been read for long enough;
 * `reads` counts how often it was. Looks are counted, not time: after a stall of the agent there may
 * be more to read.
 */
export async function untilSilent(closed: Promise<void>, reads: () => number): Promise<void> {
  for (let looks = 0, quiet = 0; looks < MAX_LOOKS && quiet < QUIET_LOOKS; looks++) {
    const before = reads();
    if (await pauseUntil(closed, LOOK_MS)) return;
    quiet = before === reads() ? quiet + 1 : 0;
  }
}
