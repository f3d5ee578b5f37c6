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

/** One batch as it stands in the file. */
export function segmentRecord({ stream, atMs, text }: Omit<Batch, "end">): string {
  return `${stream} ${atMs} ${text.length}\n${text}`;
}

/** What a segment holds. */
export interface ParsedSegment {
  /** Its batches, up to where it can be read. */
  batches: Batch[];
  /** Whether something stands in it that no agent has written. */
  damaged: boolean;
}

/**
 * Reads a segment back, without what was delivered before. Of a last batch that was cut short by
 * the agent's death the whole lines count; that is no damage.
 */
export function parseSegment(content: string, delivered: StreamPositions): ParsedSegment {
  const header = HEADER.exec(content);
  if (!header) return { batches: [], damaged: content.includes("\n") };
  const position: StreamPositions = {
    stdout: Number(header[1]),
    stderr: Number(header[2]),
    system: Number(header[3]),
  };
  const batches: Batch[] = [];
  let read = RECORD.lastIndex = header[0].length;
  for (let match = RECORD.exec(content); match; match = RECORD.exec(content)) {
    const stream = LogStream.parse(match[1]);
    const start = RECORD.lastIndex;
    const whole = content.slice(start, start + Number(match[3]));
    const text = whole.slice(0, whole.lastIndexOf("\n") + 1);
    const fresh = text.slice(Math.max(0, delivered[stream] - position[stream]));
    position[stream] += text.length;
    if (fresh) batches.push({ stream, atMs: Number(match[2]), text: fresh, end: position[stream] });
    read = RECORD.lastIndex = start + whole.length;
  }
  return { batches, damaged: content.slice(read).includes("\n") };
}
