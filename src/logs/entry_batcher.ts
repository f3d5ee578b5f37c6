import { LogStream } from "../control_plane/schemas.ts";
import { MAX_ENTRY_CODE_POINTS } from "./line_decoder.ts";
import type { Batch } from "./batch.ts";

/** The text of one log entry and how far its stream has come with it. */
export interface BatchedEntry {
  /** The stream of all of its lines. */
  stream: LogStream;
  /** The lines, joined by newlines. */
  text: string;
  /** When the first of them was read, in milliseconds since the epoch. */
  atMs: number;
  /** The position of the stream behind them. */
  end: number;
  /** How many left out lines it tells of. */
  leftOut: number;
}

/** The oldest undelivered lines, out of which the next log entry is made. */
export class EntryBatcher {
  readonly #batches: Batch[] = [];
  readonly #units: Record<LogStream, number> = { stdout: 0, stderr: 0, system: 0 };

  /** Adds the next lines in order of arrival. */
  add(batch: Batch): void {
    this.#batches.push(batch);
    this.#units[batch.stream] += batch.text.length;
  }

  /** Whether there is nothing to be sent. */
  get empty(): boolean {
    return this.#batches.length === 0;
  }

  /** The stream of the oldest line. */
  get oldestStream(): LogStream | undefined {
    return this.#batches[0]?.stream;
  }

  /** The stream that has enough lines for a full entry, if one has. */
  get fullStream(): LogStream | undefined {
    return LogStream.options.find((stream) => this.#units[stream] > MAX_ENTRY_CODE_POINTS);
  }

  /** Takes the oldest line, and that alone. */
  takeLine(): BatchedEntry | undefined {
    const batch = this.#batches[0];
    return batch && this.#cut(0, batch, batch.text.indexOf("\n"));
  }

  /**
   * Takes as many lines as one entry holds: of `stream`, or of the oldest line's. Those of other
   * streams in between are skipped.
   */
  take(stream = this.#batches[0]?.stream): BatchedEntry | undefined {
    let entry: BatchedEntry | undefined;
    for (let i = 0; i < this.#batches.length;) {
      const batch = this.#batches[i];
      if (!batch) break;
      if (batch.stream !== stream) {
        i++;
        continue;
      }
      const cut = cutFor(batch.text, entry?.text.length);
      if (cut < 0) break;
      const isWhole = cut === batch.text.length - 1;
      const next = this.#cut(i, batch, cut);
      entry = {
        ...next,
        text: entry ? `${entry.text}\n${next.text}` : next.text,
        atMs: entry?.atMs ?? next.atMs,
        // A note of lines left out stands where the stream was when it was made.
        end: Math.max(entry?.end ?? 0, next.end),
        leftOut: (entry?.leftOut ?? 0) + next.leftOut,
      };
      if (!isWhole) break;
    }
    return entry;
  }

  /** Takes the first lines of a batch, up to the newline at `cut`. */
  #cut(index: number, batch: Batch, cut: number): BatchedEntry {
    const { stream, atMs, end, leftOut = 0 } = batch;
    const text = batch.text.slice(0, cut);
    batch.text = batch.text.slice(cut + 1);
    this.#units[stream] -= cut + 1;
    if (batch.text === "") this.#batches.splice(index, 1);
    return { stream, text, atMs, end: end - batch.text.length, leftOut };
  }
}

/**
 * Where to cut `text` (whole lines) so that it fits behind an entry of `used` units: the index of
 * a newline, or -1 if not even a line fits. UTF-16 units are counted, of which there are never
 * fewer than code points; a first line always fits, since lines are cut to size before.
 */
function cutFor(text: string, used: number | undefined): number {
  const room = MAX_ENTRY_CODE_POINTS - (used === undefined ? 0 : used + 1);
  if (text.length - 1 <= room) return text.length - 1;
  const cut = room < 0 ? -1 : text.lastIndexOf("\n", room);
  return cut < 0 && used === undefined ? text.indexOf("\n") : cut;
}
