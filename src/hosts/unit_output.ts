import type { OutputStore } from "../logs/task_log.ts";
import {
  cString,
  type Libc,
  LibcError,
  O_CLOEXEC,
  O_CREAT,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDWR,
  openLibc,
} from "../system/libc.ts";
import { openReadiness, type Readiness } from "../system/readiness.ts";
import type { OutputChunk } from "./host.ts";

/** Of the FIFOs that the output of a unit goes into: its user's, and its agent's by root's group. */
export const FIFO_MODE = 0o660;

/** So much comes at once, if there is as much; in bytes. */
const CHUNK_BYTES = 1 << 16;
/** So much a pipe is to hold: it is the most that a user may have. */
const PIPE_BYTES = 1 << 20;

const [SET_PIPE_SIZE, GET_PIPE_SIZE] = [1031, 1032];
/**
 * A disk that is slow, or stands still, holds up whoever writes to it: that is another thread where
 * there is something to be moved for certain, and behind a piece that took so long, in milliseconds …
 */
const SLOW_MS = 5;
/** … for so many pieces in any case. */
const SLOW_PIECES = 100;

const EACCES = 13;
const [SPLICE_MOVE, SPLICE_NONBLOCK] = [1, 2];

interface Pipe {
  stream: OutputChunk["stream"];
  /** The FIFO. */
  fd: number;
  /** The file of the store, once it is open. */
  file?: number;
  isWaitedFor: boolean;
  /** Whether there is something in it for certain. */
  isReady: boolean;
  mayReadBytes: number;
}

/**
 * What comes out of two FIFOs, to which the service manager holds another end: they are never closed
 * from the other side. Bytes go into the store in one act of the kernel's, so that no death of the
 * agent can part their leaving the one from their being in the other.
 */
export class UnitOutput implements AsyncIterable<OutputChunk>, Disposable {
  readonly #libc: Libc = openLibc();
  readonly #readiness: Readiness = openReadiness();
  readonly #store: OutputStore | undefined;
  readonly #pipes: Pipe[];
  readonly #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(CHUNK_BYTES);
  readonly #ended = Promise.withResolvers<void>();
  #wake: () => void = () => {};
  readonly #now: () => number;
  /** How many of the next pieces are moved by another thread in any case. */
  #slowPieces = 0;
  #isDrained = false;
  #isLeft = false;

  /**
   * Opens the FIFOs `stdout` and `stderr` of a folder; `now` is a clock that only goes forward, in
   * milliseconds.
   *
   * @throws {LibcError} where they are not.
   */
  constructor(folder: string, store: OutputStore | undefined, now = () => performance.now()) {
    this.#store = store;
    this.#now = now;
    using opened = new DisposableStack();
    opened.use(this.#libc);
    opened.use(this.#readiness);
    const { symbols } = this.#libc;
    this.#pipes = (["stdout", "stderr"] as const).map((stream) => {
      const fd = openFifo(this.#libc, `${folder}/${stream}`);
      opened.defer(() => void symbols.close(fd));
      // Not all that the kernel would give: then the program waits a little sooner.
      symbols.fcntl(fd, SET_PIPE_SIZE, PIPE_BYTES);
      return { stream, fd, isWaitedFor: false, isReady: false, mayReadBytes: Infinity };
    });
    opened.move();
  }

  /** Resolves when nothing is read any more. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Nobody prints any more, or nobody is waited for: what was written is read, and no more. */
  drain(): void {
    this.#isDrained = true;
    this.#wake();
  }

  /** Leaves what comes from now on to somebody else: it stays in the FIFOs. */
  leave(): void {
    this.#isLeft = true;
    this.#wake();
  }

  /** Each piece when it has come. */
  async *[Symbol.asyncIterator](): AsyncGenerator<OutputChunk, void> {
    try {
      for (let isLast = false;;) {
        if (!isLast && this.#isDrained) this.#limit();
        isLast = this.#isDrained;
        let isDry = true;
        for (const pipe of this.#pipes) {
          if (this.#isLeft) return;
          const chunk = pipe.mayReadBytes > 0 ? await this.#take(pipe, isLast) : undefined;
          if (!chunk) continue;
          isDry = false;
          if (isLast) pipe.mayReadBytes -= chunk.bytes.length;
          yield chunk;
          // A program that prints without end must not keep the agent from all else.
          await new Promise((turn) => setImmediate(turn));
        }
        if (isDry && isLast) return;
        if (isDry) await this.#news();
      }
    } finally {
      this[Symbol.dispose]();
    }
  }

  /** Of what was written in time no more can be left than a pipe holds; root's task may have made it larger. */
  #limit(): void {
    const { symbols } = this.#libc;
    for (const pipe of this.#pipes) {
      pipe.mayReadBytes = Math.max(PIPE_BYTES, symbols.fcntl(pipe.fd, GET_PIPE_SIZE, 0));
    }
  }

  async #take(pipe: Pipe, isLast: boolean): Promise<OutputChunk | undefined> {
    const { stream } = pipe;
    const stored = this.#store && await this.#splice(pipe, this.#store);
    if (stored) {
      pipe.isReady = false;
      await this.#store?.note(stream, stored);
      return { stream, bytes: stored, isKept: true };
    }
    // What comes at this very moment is for the store as well: a read would be undone by a kill.
    if (this.#store && !pipe.isReady && !isLast) return undefined;
    pipe.isReady = false;
    const { symbols } = this.#libc;
    const length = Number(symbols.read(pipe.fd, this.#buffer, BigInt(CHUNK_BYTES)));
    return length > 0 ? { stream, bytes: this.#buffer.subarray(0, length) } : undefined;
  }

  /** Undefined where there is nothing, or a full disk takes nothing: then memory has to do. */
  async #splice(pipe: Pipe, store: OutputStore): Promise<Uint8Array | undefined> {
    const place = store.placeOf(pipe.stream);
    if (!place) return undefined;
    const { symbols } = this.#libc;
    const flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    const file = pipe.file ?? symbols.open(cString(place.path), flags, 0o600);
    // The next try may find what this one lacks: a descriptor, or room.
    if (file < 0) return undefined;
    pipe.file = file;
    const offset = BigInt(place.offset);
    const at = new Uint8Array(new BigInt64Array([offset]).buffer);
    const how = SPLICE_MOVE | SPLICE_NONBLOCK;
    const move = [pipe.fd, null, file, at, BigInt(CHUNK_BYTES), how] as const;
    const startMs = this.#now();
    const isBeside = pipe.isReady || this.#slowPieces > 0;
    const moved = Number(
      isBeside ? await symbols.spliceInBackground(...move) : symbols.splice(...move),
    );
    if (this.#now() - startMs > SLOW_MS) this.#slowPieces = SLOW_PIECES;
    else if (this.#slowPieces > 0) this.#slowPieces--;
    if (moved <= 0) return undefined;
    const bytes = this.#buffer.subarray(0, moved);
    const read = Number(symbols.pread(file, bytes, BigInt(moved), offset));
    if (read !== moved) throw new Error("output cannot be read where it was put");
    return bytes;
  }

  async #news(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    for (const pipe of this.#pipes) {
      if (pipe.isWaitedFor) continue;
      pipe.isWaitedFor = true;
      void this.#readiness.wait(pipe.fd).then(() => {
        pipe.isWaitedFor = false;
        pipe.isReady = true;
        this.#wake();
      });
    }
    if (!this.#isDrained && !this.#isLeft) await promise;
  }

  /** Closes the FIFOs; for one that nobody reads. */
  [Symbol.dispose](): void {
    for (const { fd, file } of this.#pipes) {
      this.#readiness.forget(fd);
      this.#libc.symbols.close(fd);
      if (file !== undefined) this.#libc.symbols.close(file);
    }
    this.#readiness[Symbol.dispose]();
    this.#libc[Symbol.dispose]();
    this.#ended.resolve();
  }
}

/** Opens a FIFO; its user owns it, and may have shut out everybody else (`chown app: /dev/stdout`). */
function openFifo({ symbols, check }: Libc, path: string): number {
  const flags = O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC;
  const open = () => check(symbols.open(cString(path), flags, 0), path);
  try {
    return open();
  } catch (error) {
    if (!(error instanceof LibcError && error.errno === EACCES)) throw error;
  }
  const { uid } = Deno.lstatSync(path);
  // Only its owner may choose its mode: root, as whoever starts units is, but without root's privileges.
  Deno.chownSync(path, 0, 0);
  Deno.chmodSync(path, FIFO_MODE);
  Deno.chownSync(path, uid, null);
  return open();
}
