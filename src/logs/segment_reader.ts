import { openOwn } from "../system/own_file.ts";
import type { Batch, StreamPositions } from "./batch.ts";
import { ByteBuffer } from "./byte_buffer.ts";
import { SegmentParser } from "./segment.ts";

/** Reads one segment piece by piece; no file stays open in between. */
export class SegmentReader {
  readonly #path: string;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #parser: SegmentParser;
  #at: number;

  /** `from` is where to begin if not at the beginning: a byte between two batches. */
  constructor(
    path: string,
    delivered: StreamPositions,
    from?: { byte: number; position: StreamPositions },
  ) {
    this.#path = path;
    this.#parser = new SegmentParser(delivered, from?.position);
    this.#at = from?.byte ?? 0;
  }

  /** How many bytes were read, those before the beginning among them. */
  get byte(): number {
    return this.#at;
  }

  /** Whether something stands in it that no agent has written. */
  get damaged(): boolean {
    return this.#parser.damaged;
  }

  /** The batches of the next piece, perhaps none; `undefined` at the end of the file. */
  async next(): Promise<Batch[] | undefined> {
    using file = await openOwn(this.#path, { read: true });
    await file.seek(this.#at, Deno.SeekMode.Start);
    using piece = new ByteBuffer();
    const read = await file.read(piece.bytes);
    if (read === null) return undefined;
    this.#at += read;
    return this.#parser.push(this.#decoder.decode(piece.bytes.subarray(0, read), { stream: true }));
  }
}
