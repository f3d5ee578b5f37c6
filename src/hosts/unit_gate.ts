import {
  cString,
  type Libc,
  LibcError,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  openLibc,
} from "../system/libc.ts";
import { openReadiness, type Readiness, WRITABLE } from "../system/readiness.ts";

/** The name of the FIFO in a unit's folder; it is there until its program was let run. */
const NAME = "gate";
const TRY_AGAIN = 11;

/** Where the gate of a unit is, in the unit's folder. */
export function gatePath(folder: string): string {
  return `${folder}/${NAME}`;
}

/**
 * Holds back the program of a unit that is started already: through a FIFO it reads what it is to run,
 * and waits for that. Without the agent it reads the end of nothing, and goes.
 */
export class UnitGate implements Disposable {
  readonly #libc: Libc = openLibc();
  readonly #readiness: Readiness = openReadiness();
  readonly #path: string;
  readonly #text: Uint8Array<ArrayBuffer>;
  readonly #fd: number;
  #isClosed = false;

  /** Makes the FIFO; `text` is for {@linkcode LAUNCH}. @throws {LibcError} where it cannot be made. */
  constructor(folder: string, text: string) {
    this.#path = gatePath(folder);
    this.#text = new TextEncoder().encode(text);
    const { symbols, check } = this.#libc;
    try {
      check(symbols.mkfifo(cString(this.#path), 0o600), this.#path);
      // For reading as well: so it can be opened before anybody reads.
      this.#fd = this.#open(O_RDWR | O_NONBLOCK);
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** Opens what the program reads; the caller closes it. */
  reader(): number {
    return this.#open(0);
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
      Deno.removeSync(this.#path);
      return this[Symbol.dispose]();
    }
  }

  /** Whoever waits at it goes, if it was not opened. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#readiness.forget(this.#fd);
    this.#libc.symbols.close(this.#fd);
    this.#release();
  }

  #open(flags: number): number {
    const { symbols, check } = this.#libc;
    return check(symbols.open(cString(this.#path), flags | O_CLOEXEC, 0), this.#path);
  }

  #release(): void {
    this.#readiness[Symbol.dispose]();
    this.#libc[Symbol.dispose]();
  }
}
