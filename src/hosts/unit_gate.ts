import {
  cString,
  type Libc,
  LibcError,
  O_CLOEXEC,
  O_CREAT,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_WRONLY,
  openLibc,
} from "../system/libc.ts";
import { openReadiness, type Readiness, WRITABLE } from "../system/readiness.ts";

const TRY_AGAIN = 11;
const SET_FLAGS = 4;
/** The owner's group: left as it is. */
const SAME_GROUP = 2 ** 32 - 1;

/** The file in a unit's folder that says that its program was not let run yet. */
export function gatePath(folder: string): string {
  return `${folder}/gate`;
}

/**
 * Holds back the program of a unit that is started already: through a pipe it reads what it is to run,
 * and waits for that. Without the agent it reads the end of nothing, and goes.
 */
export class UnitGate implements Disposable {
  /** What the program reads. */
  readonly reader: number;
  readonly #libc: Libc = openLibc();
  readonly #readiness: Readiness = openReadiness();
  readonly #path: string;
  readonly #text: Uint8Array<ArrayBuffer>;
  readonly #fd: number;
  #isClosed = false;

  /**
   * Makes the pipe, which `owner` can open anew, and its file; `text` is for {@linkcode LAUNCH}.
   *
   * @throws {LibcError} where they cannot be made.
   */
  constructor(folder: string, owner: number, text: string) {
    this.#path = gatePath(folder);
    this.#text = new TextEncoder().encode(text);
    const { symbols, check } = this.#libc;
    using opened = new DisposableStack();
    opened.use(this.#libc);
    opened.use(this.#readiness);
    const ends = new Int32Array(2);
    check(symbols.pipe2(new Uint8Array(ends.buffer), O_CLOEXEC), "pipe2");
    const [reader = -1, writer = -1] = ends;
    [this.reader, this.#fd] = [reader, writer];
    for (const end of ends) opened.defer(() => void symbols.close(end));
    check(symbols.fcntl(writer, SET_FLAGS, O_NONBLOCK), "fcntl");
    if (owner !== 0) check(symbols.fchown(reader, owner, SAME_GROUP), "fchown");
    const flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    symbols.close(check(symbols.open(cString(this.#path), flags, 0o600), this.#path));
    opened.move();
  }

  /** Lets the program run. From here on it has begun, whatever becomes of the agent. */
  async open(): Promise<void> {
    const { symbols, check } = this.#libc;
    for (let rest = this.#text; !this.#isClosed;) {
      try {
        const written = symbols.write(this.#fd, rest, BigInt(rest.length));
        rest = rest.subarray(check(written, this.#path));
      } catch (error) {
        if (!(error instanceof LibcError && error.errno === TRY_AGAIN)) throw error;
        await this.#readiness.wait(this.#fd, WRITABLE);
      }
      if (rest.length > 0) continue;
      this[Symbol.dispose]();
      try {
        Deno.removeSync(this.#path);
      } catch {
        // It has begun all the same; the next agent sees that as well.
      }
    }
  }

  /** Whoever waits at it goes, if it was not opened. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#readiness.forget(this.#fd);
    this.#libc.symbols.close(this.#fd);
    this.#libc.symbols.close(this.reader);
    this.#readiness[Symbol.dispose]();
    this.#libc[Symbol.dispose]();
  }
}
