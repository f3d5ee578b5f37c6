import { LogStream } from "../control_plane/schemas.ts";
import type { Batch, StreamPositions } from "./batch.ts";

/**
 * The file format of a spool: a first line with the position of each stream, then batches. A batch
 * is a line `<stream> <milliseconds> <UTF-16 units>` and the text itself.
 */
const HEADER = /^spool (\d+) (\d+) (\d+)\n/;
const RECORD = /(stdout|stderr|system) (\d+) (\d+)\n/y;

/** The first line of a segment that begins at `from`. */
export function segmentHeader(from: StreamPositions): string {
  return `spool ${from.stdout} ${from.stderr} ${from.system}\n`;
}

/** One batch as it stands in the file: its line and its text. */
export function segmentRecord({ stream, atMs, text }: Omit<Batch, "end">): [string, string] {
  return [`${stream} ${atMs} ${text.length}\n`, text];
}

/**
 * Reads a segment back that comes in pieces, without what was delivered before. Of a batch that is
 * not there to its end yet, or was cut short by the agent's death, the whole lines count.
 */
export class SegmentParser {
  /** Whether something stands in it that no agent has written; what comes behind it is not read. */
  damaged = false;
  readonly #delivered: StreamPositions;
  #position: StreamPositions | undefined;
  #rest = "";
  /** The batch that is being read. */
  #record: { stream: LogStream; atMs: number; left: number } | undefined;

  /** `position` is where the streams are, for one that begins behind the header. */
  constructor(delivered: StreamPositions, position?: StreamPositions) {
    this.#delivered = delivered;
    this.#position = position && { ...position };
  }

  /** Takes the next piece; returns the batches in it. */
  push(piece: string): Batch[] {
    if (this.damaged) return [];
    const content = this.#rest + piece;
    const batches: Batch[] = [];
    let at = this.#position ? 0 : this.#readHeader(content);
    while (this.#position && at < content.length) {
      const begun = this.#record ? at : this.#readRecord(content, at);
      if (!this.#record) break;
      const { stream, atMs, left } = this.#record;
      const there = content.slice(begun, begun + left);
      const isWhole = there.length === left;
      const text = there.slice(0, there.lastIndexOf("\n") + 1);
      at = begun + (isWhole ? left : text.length);
      const fresh = text.slice(Math.max(0, this.#delivered[stream] - this.#position[stream]));
      const end = this.#position[stream] += text.length;
      if (fresh) batches.push({ stream, atMs, text: fresh, end });
      this.#record = isWhole ? undefined : { stream, atMs, left: left - text.length };
      if (!isWhole) break;
    }
    this.#rest = content.slice(at);
    if (!this.#record) this.damaged = this.#rest.includes("\n");
    return batches;
  }

  #readHeader(content: string): number {
    const header = HEADER.exec(content);
    if (!header) return 0;
    const [stdout = 0, stderr = 0, system = 0] = header.slice(1).map(Number);
    this.#position = { stdout, stderr, system };
    return header[0].length;
  }

  #readRecord(content: string, at: number): number {
    RECORD.lastIndex = at;
    const match = RECORD.exec(content);
    if (!match) return at;
    this.#record = {
      stream: LogStream.parse(match[1]),
      atMs: Number(match[2]),
      left: Number(match[3]),
    };
    return RECORD.lastIndex;
  }
}
