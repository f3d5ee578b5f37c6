import {
  cString,
  type Libc,
  LibcError,
  O_CLOEXEC,
  O_CREAT,
  O_NOFOLLOW,
  O_RDWR,
  openLibc,
} from "../system/libc.ts";
import type { OutputStore } from "./flow.ts";

const MODE = 0o600;
const NO_WAIT = 2;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const BLOCK_BYTES = 4096;
const EAGAIN = 11;
const NO_OFFSET = null;

/**
 * The output of a terminal in a file, which outlives the agent. The kernel moves it there from a pipe
 * in one act: a kill between reading and writing would lose what was read.
 */
export class OutputSpool implements OutputStore, Disposable {
  readonly #libc: Libc;
  readonly #path: string;
  readonly #fd: number;
  #head: number;
  #taken: number;
  #released: number;

  /**
   * Opens the file at `path`, of which all before `delivered` is not needed any more.
   *
   * @throws when it cannot be opened.
   */
  constructor(path: string, delivered = 0) {
    this.#path = path;
    this.#libc = openLibc();
    const { symbols, check } = this.#libc;
    const flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    this.#fd = check(symbols.open(cString(path), flags, MODE), path);
    this.#head = Math.max(Deno.statSync(path).size, delivered);
    this.#taken = this.#released = delivered;
  }

  /** How many bytes wait. */
  get bytes(): number {
    return this.#head - this.#taken;
  }

  /** Adds bytes at the end. @throws when the disk refuses. */
  push(bytes: Uint8Array<ArrayBuffer>): void {
    const { symbols, check } = this.#libc;
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at);
      const result = symbols.pwrite(this.#fd, part, BigInt(part.length), BigInt(this.#head));
      const written = check(result, this.#path);
      at += written;
      this.#head += written;
    }
  }

  /** Moves what is in a pipe to the end; gives the number of bytes. @throws when the disk refuses. */
  receive(pipe: number, maxBytes: number): number {
    let received = 0;
    for (;;) {
      const moved = this.#splice(pipe, BigInt(maxBytes));
      if (moved === 0) return received;
      received += moved;
      this.#head += moved;
    }
  }

  /** The next bytes. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const { symbols, check } = this.#libc;
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const part = bytes.subarray(at);
      const offset = BigInt(this.#taken + at);
      const result = symbols.pread(this.#fd, part, BigInt(part.length), offset);
      const read = check(result, this.#path);
      if (read === 0) throw new Error(`${this.#path} is shorter than it was`);
      at += read;
    }
    this.#taken += length;
    return bytes;
  }

  /** Gives back the room of what nobody needs any more, which is all before an offset. */
  release(end: number): void {
    const to = end - end % BLOCK_BYTES;
    if (to <= this.#released) return;
    const from = this.#released - this.#released % BLOCK_BYTES;
    // Where the file system cannot, the file goes with the session.
    const mode = KEEP_SIZE | PUNCH_HOLE;
    this.#libc.symbols.fallocate(this.#fd, mode, BigInt(from), BigInt(to - from));
    this.#released = to;
  }

  /** Closes the file, which stays. */
  [Symbol.dispose](): void {
    this.#libc.symbols.close(this.#fd);
    this.#libc[Symbol.dispose]();
  }

  #splice(pipe: number, maxBytes: bigint): number {
    const { symbols, check } = this.#libc;
    const offset = new Uint8Array(new BigInt64Array([BigInt(this.#head)]).buffer);
    try {
      return check(
        symbols.splice(pipe, NO_OFFSET, this.#fd, offset, maxBytes, NO_WAIT),
        this.#path,
      );
    } catch (error) {
      if (error instanceof LibcError && error.errno === EAGAIN) return 0;
      throw error;
    }
  }
}
