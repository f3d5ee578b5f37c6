import type { LogStream } from "../control_plane/schemas.ts";

/** Lines of one stream that came together. */
export interface Batch {
  /** Where they came from. */
  stream: LogStream;
  /** When they were read, in milliseconds since the epoch. */
  atMs: number;
  /** Whole lines, each with its newline and of at most 5000 code points. */
  text: string;
  /** How far the stream has come at their end, in UTF-16 units. */
  end: number;
  /** How many lines were left out, if this is the note that tells of them. */
  leftOut?: number;
}

/** A place in each of a task's streams, in UTF-16 units. */
export type StreamPositions = Record<LogStream, number>;

/** How many lines the batches hold together. */
export function countLines(batches: readonly Batch[]): number {
  let lines = 0;
  for (const { text } of batches) {
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  }
  return lines;
}
