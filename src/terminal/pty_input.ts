import { Backoff } from "../system/backoff.ts";
import type { Tty } from "./tty.ts";

/** The most input that may wait for a program that does not read, in bytes. */
export const MAX_WAITING_INPUT = 8 * 1024 * 1024;
/** How soon a full terminal is tried again: nothing reports when it takes input again. */
const RETRY = { firstMs: 1, maxMs: 32, random: () => 1 };
/** A program that takes no input for so long does not read: what interrupts it need not wait. */
const STUCK_MS = 250;

/** The descriptors of a pseudo terminal; they are the caller's. */
export interface PtyDescriptors {
  /** The side that input is written to. */
  master: number;
  /** The other side, while it is open. */
  terminal: () => number | undefined;
}

/** Input on its way into a pseudo terminal: in order, whole, however slowly it is read. */
export class PtyInput implements Disposable {
  readonly #tty: Tty;
  readonly #fds: PtyDescriptors;
  #input: Uint8Array<ArrayBuffer>[] = [];
  #waitingInput = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #pace = new Backoff(RETRY);
  /** When input was last taken, and whether some came since it was looked through for signals. */
  #takenMs = 0;
  #isUnsearched = false;
  #isClosed = false;

  /** Nothing waits at first. */
  constructor(tty: Tty, fds: PtyDescriptors) {
    this.#tty = tty;
    this.#fds = fds;
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
      const written = this.#isClosed ? head.length : this.#tty.write(this.#fds.master, head);
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
    const terminal = this.#fds.terminal();
    if (!this.#isUnsearched || terminal === undefined) return false;
    this.#isUnsearched = false;
    const signals = this.#tty.signals(this.#fds.master);
    if (signals.size === 0) return false;
    let behind = this.#waitingInput;
    for (const bytes of this.#input.toReversed()) {
      behind -= bytes.length;
      const at = bytes.findLastIndex((byte) => signals.has(byte));
      const signal = signals.get(bytes[at] ?? -1);
      if (signal === undefined) continue;
      this.#drop(behind + at + 1);
      this.#tty.interrupt(this.#fds.master, terminal, signal);
      this.#takenMs = performance.now();
      return true;
    }
    return false;
  }

  /** Drops what waits, and takes no more. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#input = [];
  }
}
