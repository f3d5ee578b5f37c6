import { dirname, join } from "@std/path";
import { messageOf, UserError } from "../system/user_error.ts";
import { writeAll } from "../system/atomic_file.ts";

const BLOCK = 512;
/** No release holds more, in bytes and in entries. */
const MAX_BYTES = 2 ** 30;
const MAX_ENTRIES = 10_000;
/** A longer name than that is none of a release's. */
const MAX_NAME_BYTES = 4_096;

/** What one archive may hold. */
export interface UnpackLimits {
  /** The sum of its files, in bytes. */
  maxBytes?: number;
}

/**
 * Unpacks a `.tar.gz` of a release into a new folder. Its files and folders all lie in `root`, which
 * is left out; anything else, a link for example, refuses the whole archive.
 *
 * @throws {UserError} that says what is wrong with it; the folder may hold a part of it then.
 */
export async function unpack(
  archive: string,
  root: string,
  folder: string,
  { maxBytes = MAX_BYTES }: UnpackLimits = {},
): Promise<void> {
  const refuse = (why: string) => new UserError(`The archive is refused: ${why}.`);
  using reader = new BlockReader((await Deno.open(archive)).readable);
  let [entries, total, longName] = [0, 0, ""];
  try {
    await Deno.mkdir(folder, { mode: 0o700 });
    for (;;) {
      const header = await reader.take(BLOCK);
      if (header.every((byte) => byte === 0)) return;
      if (!hasChecksum(header)) throw refuse("a header is damaged");
      const size = numberAt(header, 124, 12);
      const type = String.fromCharCode(header[156] ?? 0).replace("\0", "0");
      if (type === "L") {
        if (size > MAX_NAME_BYTES) throw refuse("a name is too long");
        longName = textAt(await reader.take(padded(size)), 0, size);
        continue;
      }
      const name = longName || nameIn(header);
      longName = "";
      if (++entries > MAX_ENTRIES) throw refuse("it has too many entries");
      if (!isBelow(root, name)) throw refuse(`${JSON.stringify(name)} does not lie in ${root}`);
      const path = join(folder, name.slice(root.length));
      if (type === "5") {
        await Deno.mkdir(path, { recursive: true });
        continue;
      }
      if (type !== "0") throw refuse(`${JSON.stringify(name)} is neither a file nor a folder`);
      total += size;
      if (!Number.isSafeInteger(size) || total > maxBytes) {
        throw refuse(`it holds more than ${maxBytes} bytes`);
      }
      await Deno.mkdir(dirname(path), { recursive: true });
      const mode = (numberAt(header, 100, 8) & 0o111) !== 0 ? 0o755 : 0o644;
      using file = await Deno.open(path, { write: true, createNew: true, mode });
      await reader.copy(size, file);
      await reader.take(padded(size) - size);
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw refuse(messageOf(error));
  }
}

/** Bytes of a gzipped stream, in the portions that are asked for. */
class BlockReader implements Disposable {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #rest: Uint8Array<ArrayBuffer> = new Uint8Array();

  constructor(zipped: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = zipped.pipeThrough(new DecompressionStream("gzip")).getReader();
  }

  async take(length: number): Promise<Uint8Array> {
    const taken = new Uint8Array(length);
    let at = 0;
    await this.#each(length, (bytes) => {
      taken.set(bytes, at);
      at += bytes.length;
      return Promise.resolve();
    });
    return taken;
  }

  async copy(length: number, file: Deno.FsFile): Promise<void> {
    await this.#each(length, (bytes) => writeAll(file, bytes));
  }

  async #each(length: number, use: (bytes: Uint8Array) => Promise<void>): Promise<void> {
    for (let left = length; left > 0;) {
      if (this.#rest.length === 0) {
        const { value, done } = await this.#reader.read();
        if (done) throw new Error("it ends too early");
        this.#rest = value;
      }
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      await use(part);
    }
  }

  [Symbol.dispose](): void {
    this.#reader.cancel().catch(() => {});
  }
}

/** Whether a name stays in the root folder whatever is in its way. */
function isBelow(root: string, name: string): boolean {
  const [first, ...rest] = name.replace(/\/$/, "").split("/");
  return first === root && !name.includes("\0") &&
    rest.every((part) => part !== "" && part !== "." && part !== "..");
}

/** The sum of all bytes of the header, those of the sum itself counted as spaces. */
function hasChecksum(header: Uint8Array): boolean {
  let sum = 0;
  for (const [at, byte] of header.entries()) sum += at >= 148 && at < 156 ? 32 : byte;
  return sum === numberAt(header, 148, 8);
}

function nameIn(header: Uint8Array): string {
  const name = textAt(header, 0, 100);
  // Only POSIX's format has a prefix; GNU's has times at its place.
  const prefix = textAt(header, 257, 8) === "ustar" ? textAt(header, 345, 155) : "";
  return prefix ? `${prefix}/${name}` : name;
}

function numberAt(header: Uint8Array, at: number, length: number): number {
  const text = textAt(header, at, length).trim();
  return /^[0-7]*$/.test(text) ? parseInt(text || "0", 8) : NaN;
}

function textAt(bytes: Uint8Array, at: number, length: number): string {
  const [text = ""] = new TextDecoder().decode(bytes.subarray(at, at + length)).split("\0");
  return text;
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}
