import { basename, dirname } from "@std/path";
import { tempName } from "./atomic_file.ts";
import {
  cString,
  type Libc,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_WRONLY,
  openLibc,
} from "./libc.ts";
import { chase } from "./trust.ts";

const O_RDONLY = 0;
const O_EXCL = 0o200;
const AT_EMPTY_PATH = 0x1000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const STATX_BASIC = 0x7ff;
const STATX_BYTES = 256;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
/** No file that is read so is longer, in bytes. */
const MAX_BYTES = 1_048_576;

/**
 * A file in a folder of another user's, as root reads and writes it: everything is done on the open
 * folder and the open file, so that whatever the user puts in their place meanwhile is neither
 * followed nor given away. What is written becomes that user's, 0600.
 */
export class UsersFile implements Disposable {
  readonly #libc: Libc;
  readonly #folder: number;
  readonly #name: Uint8Array<ArrayBuffer>;
  readonly #path: string;
  readonly #uid: number;
  readonly #gid: number;

  private constructor(libc: Libc, folder: number, path: string, owner: Status) {
    this.#libc = libc;
    this.#folder = folder;
    this.#path = path;
    this.#name = cString(basename(path));
    this.#uid = owner.uid;
    this.#gid = owner.gid;
  }

  /**
   * Opens the folder of the file at `path`, which need not be there itself; undefined if the folder
   * is not there or is root's.
   *
   * @throws {Error} when anybody but root and the folder's owner decides what the path stands for, or
   * the C library cannot be used.
   */
  static async open(path: string): Promise<UsersFile | undefined> {
    const info = await Deno.stat(dirname(path)).catch(() => undefined);
    if (!info?.uid) return undefined;
    const { place, problem } = await chase(dirname(path), [0, info.uid]);
    if (problem !== undefined) throw new Error(problem);
    const libc = openLibc();
    let folder = -1;
    try {
      const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
      folder = libc.check(libc.symbols.open(cString(place), flags, 0), `open ${place}`);
      const owner = statusOf(libc, folder, cString(""), AT_EMPTY_PATH, place);
      if (owner.uid !== info.uid) throw new Error(`${place} was replaced`);
      return new UsersFile(libc, folder, path, owner);
    } catch (error) {
      if (folder >= 0) libc.symbols.close(folder);
      libc[Symbol.dispose]();
      throw error;
    }
  }

  /** The text of the file; undefined if there is none. @throws {Error} if it is not the owner's. */
  read(): string | undefined {
    const { symbols } = this.#libc;
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    if (!this.#check()) return undefined;
    const fd = this.#libc.check(
      symbols.openat(this.#folder, this.#name, flags, 0),
      `open ${this.#path}`,
    );
    try {
      const buffer = new Uint8Array(MAX_BYTES);
      const length = this.#libc.check(
        symbols.read(fd, buffer, BigInt(MAX_BYTES)),
        `read ${this.#path}`,
      );
      return new TextDecoder().decode(buffer.subarray(0, length));
    } finally {
      symbols.close(fd);
    }
  }

  /** Replaces the file as a whole. @throws {Error} if what is there is no file of the owner's. */
  write(text: string): void {
    this.#check();
    const { symbols } = this.#libc;
    const temp = cString(tempName(this.#path));
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const done = (result: number | bigint) => this.#libc.check(result, `write ${this.#path}`);
    const fd = done(symbols.openat(this.#folder, temp, flags, 0o600));
    try {
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length;) {
        const rest = bytes.subarray(at);
        at += done(symbols.write(fd, rest, BigInt(rest.length)));
      }
      done(symbols.fchown(fd, this.#uid, this.#gid));
      done(symbols.fsync(fd));
      done(symbols.renameat(this.#folder, temp, this.#folder, this.#name));
      done(symbols.fsync(this.#folder));
    } catch (error) {
      symbols.unlinkat(this.#folder, temp, 0);
      throw error;
    } finally {
      symbols.close(fd);
    }
  }

  /** Whether there is a file. */
  #check(): boolean {
    let found: Status;
    try {
      found = statusOf(this.#libc, this.#folder, this.#name, AT_SYMLINK_NOFOLLOW, this.#path);
    } catch {
      return false;
    }
    if ((found.mode & S_IFMT) !== S_IFREG) throw new Error(`${this.#path} is no regular file`);
    if (![0, this.#uid].includes(found.uid)) {
      throw new Error(`${this.#path} belongs to user ${found.uid}`);
    }
    return true;
  }

  /** Closes the folder. */
  [Symbol.dispose](): void {
    this.#libc.symbols.close(this.#folder);
    this.#libc[Symbol.dispose]();
  }
}

interface Status {
  uid: number;
  gid: number;
  mode: number;
}

function statusOf(
  { symbols, check }: Libc,
  folder: number,
  name: Uint8Array<ArrayBuffer>,
  flags: number,
  path: string,
): Status {
  const status = new Uint8Array(STATX_BYTES);
  check(symbols.statx(folder, name, flags, STATX_BASIC, status), `look at ${path}`);
  const view = new DataView(status.buffer);
  return {
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    mode: view.getUint16(28, true),
  };
}
