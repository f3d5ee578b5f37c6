import { abortable } from "@std/async";
import { join } from "@std/path";
import { whyNotReached } from "../control_plane/http.ts";
import { TimeLimit } from "../system/stall.ts";
import { UserError } from "../system/user_error.ts";
import { writeAll } from "../system/atomic_file.ts";

/** The longest that one file may take, in milliseconds. */
const FILE_LIMIT_MS = 10 * 60_000;
/** No release is larger, in bytes. */
const MAX_ARTEFACT_BYTES = 512 * 2 ** 20;
/** So often one address may lead to another: to a store of files, for example. */
const MAX_REDIRECTS = 5;

/** Where releases are: a folder of this machine, or an https address. All that it holds is data. */
export class UpdateSource {
  readonly #base: string;
  readonly #client: Deno.HttpClient | undefined;
  readonly #maxArtefactBytes: number;

  /** `client` is what https goes by. */
  constructor(
    base: string,
    { client, maxArtefactBytes = MAX_ARTEFACT_BYTES }: {
      client?: Deno.HttpClient | undefined;
      maxArtefactBytes?: number;
    } = {},
  ) {
    this.#base = base.replace(/\/+$/, "");
    this.#client = client;
    this.#maxArtefactBytes = maxArtefactBytes;
  }

  /**
   * Reads a small file of the source whole.
   *
   * @throws {UserError} when it is not there, or larger than `maxBytes`.
   */
  async read(name: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    await this.#stream(name, maxBytes, signal, (bytes) => {
      parts.push(bytes);
      return Promise.resolve();
    });
    return await new Blob(parts).bytes();
  }

  /**
   * Copies an artefact into a new file; gives its SHA-256 in hex.
   *
   * @throws {UserError} when it is not there, or larger than any release.
   */
  async download(name: string, path: string, signal: AbortSignal): Promise<string> {
    const { createHash } = await import("node:crypto");
    const hash = createHash("sha256");
    using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
    await this.#stream(name, this.#maxArtefactBytes, signal, async (bytes) => {
      hash.update(bytes);
      await writeAll(file, bytes);
    });
    return hash.digest("hex");
  }

  async #stream(
    name: string,
    maxBytes: number,
    signal: AbortSignal,
    take: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>,
  ): Promise<void> {
    using timeLimit = new TimeLimit(FILE_LIMIT_MS);
    const limit = AbortSignal.any([signal, timeLimit.signal]);
    const place = `${this.#base}/${name}`;
    let size = 0;
    try {
      limit.throwIfAborted();
      const opening = this.#open(name, limit);
      // Not even a share whose server is dead holds it up for longer.
      const stream = await abortable(opening, limit).catch((error) => {
        opening.then((late) => late.cancel()).catch(() => {});
        throw error;
      });
      for await (const bytes of abortable(stream, limit)) {
        size += bytes.length;
        if (size > maxBytes) {
          throw new UserError(`${place} is larger than ${maxBytes} bytes: it is no release's.`);
        }
        await take(bytes);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof UserError) throw error;
      throw new UserError(`${place} cannot be read: ${whyNotReached(error)}.`, { cause: error });
    }
  }

  async #open(name: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    if (!this.#base.startsWith("https://")) {
      return await openRegular(join(this.#base, name));
    }
    let url = `${this.#base}/${name}`;
    for (let redirects = 0;; redirects++) {
      const response = await fetch(url, {
        signal,
        redirect: "manual",
        ...(this.#client ? { client: this.#client } : {}),
      });
      if (response.ok && response.body) return response.body;
      await response.body?.cancel();
      const location = response.headers.get("location");
      if (!REDIRECTS.includes(response.status) || location === null) {
        throw new Error(`HTTP ${response.status}`);
      }
      if (redirects === MAX_REDIRECTS) throw new Error("it leads from address to address");
      const next = URL.parse(location, url);
      if (next?.protocol !== "https:") throw new Error("it leads to an unsafe address");
      url = next.href;
    }
  }
}

/** What HTTP answers with where a file is elsewhere. */
const REDIRECTS = [301, 302, 303, 307, 308];

/** Whatever else may be there, a FIFO for example, may never open, nor end. */
async function openRegular(path: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const refused = new Error("it is no regular file");
  if (!(await Deno.stat(path)).isFile) throw refused;
  const file = await Deno.open(path);
  if ((await file.stat()).isFile) return file.readable;
  file.close();
  throw refused;
}
