import { dirname } from "@std/path";
import { makeFolder, writeAll } from "./atomic_file.ts";
import { openOwn, readOwn } from "./own_file.ts";

/** One block of every common file system: where a part of it can be written, all of it can. */
const RECORD_BYTES = 4096;

/**
 * A short text in a file of a fixed size that is written in place: once the file is there, no disk
 * is too full for the next text. What a crash or a loss of power cuts short, or the disk refuses, is
 * not readable afterwards: whoever reads it has to know what that stands for.
 */
export class FixedRecord {
  readonly #path: string;

  /** `path` is its file, for this process alone to write. */
  constructor(path: string) {
    this.#path = path;
  }

  /** The text, without what fills its file. @throws what the disk answers. */
  async read(): Promise<string> {
    return (await readOwn(this.#path)).trimEnd();
  }

  /** Takes the room for all texts to come, with a first one. A disk that has none is left as it was. */
  async create(text: string): Promise<void> {
    await makeFolder(dirname(this.#path));
    // Fails where there is one: nobody's text is overwritten by a first one.
    (await Deno.open(this.#path, { write: true, createNew: true, mode: 0o600 })).close();
    try {
      await this.write(text);
    } catch (error) {
      await Deno.remove(this.#path).catch(() => {});
      throw error;
    }
  }

  /** Replaces the text; it is on disk when this resolves. @throws what the disk answers. */
  async write(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    if (bytes.length >= RECORD_BYTES) throw new RangeError(`${this.#path}: the text is too long`);
    const block = new Uint8Array(RECORD_BYTES).fill(" ".charCodeAt(0));
    block.set(bytes);
    block[RECORD_BYTES - 1] = "\n".charCodeAt(0);
    using file = await this.#open();
    try {
      await writeAll(file, block);
      await file.sync();
    } catch (error) {
      // A file system that copies on write may be too full all the same: the old text must not stay.
      await file.truncate(0).then(() => file.sync()).catch(() => {});
      throw error;
    }
  }

  /** Its file, made where it is gone. */
  async #open(): Promise<Deno.FsFile> {
    try {
      return await openOwn(this.#path, { write: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    const folder = dirname(this.#path);
    await makeFolder(folder);
    const file = await openOwn(this.#path, { write: true, create: true });
    using handle = await Deno.open(folder);
    await handle.sync();
    return file;
  }
}
