import { LogStream } from "../control_plane/schemas.ts";
import { type Batch, countLines, type StreamPositions } from "./batch.ts";
import { segmentRecord } from "./segment.ts";
import { SegmentReader } from "./segment_reader.ts";
import { listSegments, newCursor, segmentPath, SegmentWriter } from "./spool_files.ts";

interface Segment {
  path: string;
  bytes: number;
  /** So many of them are, or were, in memory. */
  read: number;
  /** Where its streams are behind those. */
  readTo: StreamPositions;
  /** How many lines come behind those. */
  lines: number;
  /** Where its streams end. */
  end: StreamPositions;
  /** Whether any of its lines are, or were, in memory. */
  begun: boolean;
  /** Whether lines were left out that lay somewhere behind it. */
  beforeGap: boolean;
}

/** What a {@linkcode SpoolDisk} works with. */
export interface SpoolDiskOptions {
  /** Files are named `<prefix>.log.N`. */
  prefix: string;
  /** Size of one file, in bytes. */
  segmentBytes: number;
  /** Hears of a disk that refuses. */
  onDiskError: (error: unknown) => void;
}

/** The files of one task's lines: written at one end, read piece by piece at the other. */
export class SpoolDisk {
  readonly #options: SpoolDiskOptions;
  readonly #segments: Segment[] = [];
  #writer: SegmentWriter | undefined;
  /** Reads the oldest segment that is not read to its end. */
  #reader: SegmentReader | undefined;
  #nextNumber = 1;

  /** The first file is made when the first lines come. */
  constructor(options: SpoolDiskOptions) {
    this.#options = options;
  }

  /** Whether there has ever been a file. */
  get used(): boolean {
    return this.#nextNumber > 1;
  }

  /** Whether something waits to be read. */
  get unread(): boolean {
    return this.#segments.some(isUnread);
  }

  /** Whether what was given up lay somewhere behind what is read next. */
  get beforeGap(): boolean {
    return this.#segments.find(isUnread)?.beforeGap ?? false;
  }

  /** Size of what may be given up, in bytes: files that nothing was read of. */
  get waitingBytes(): number {
    return this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Takes up the files of an earlier agent; of their batches `onBatch` gets every one. */
  async recover(
    delivered: StreamPositions,
    onBatch: (batch: Batch) => void,
    onDamaged: (path: string) => Promise<void>,
  ): Promise<void> {
    const end = newCursor().delivered;
    for (const path of await listSegments(this.#options.prefix)) {
      const number = Number(path.slice(path.lastIndexOf(".") + 1));
      if (number > this.#nextNumber) this.#segments.forEach((each) => each.beforeGap = true);
      this.#nextNumber = number + 1;
      const reader = new SegmentReader(path, newCursor().delivered);
      let lines = 0;
      try {
        for (let batches = await reader.next(); batches; batches = await reader.next()) {
          for (const batch of batches) {
            end[batch.stream] = Math.max(end[batch.stream], batch.end);
            lines += countLines([behind(batch, delivered[batch.stream])]);
            onBatch(batch);
          }
        }
      } catch (error) {
        this.#options.onDiskError(error);
      }
      this.#add({ path, bytes: reader.byte, read: 0, readTo: end, lines, end: { ...end } });
      if (reader.damaged) await onDamaged(path);
    }
  }

  /**
   * Adds a batch behind which the streams are at `end`; false if the disk refuses. What is
   * `inMemory` need not be read back, and nothing unread may be left before it.
   */
  async write(batch: Batch, end: StreamPositions, inMemory: boolean): Promise<boolean> {
    try {
      const segment = await this.#segmentFor(batch, end);
      await this.#writer?.append(...segmentRecord(batch));
      segment.bytes = this.#writer?.bytes ?? 0;
      segment.end = { ...end };
      if (inMemory) markRead(segment);
      else segment.lines += countLines([batch]);
      return true;
    } catch (error) {
      // The next batch begins a new file: a gap inside one would shift what follows it.
      this.#closeWriter();
      this.#options.onDiskError(error);
      return false;
    }
  }

  /** The next batches, perhaps none, and how many lines should have been there and are not. */
  async read(delivered: StreamPositions): Promise<{ batches: Batch[]; missing: number }> {
    const segment = this.#segments.find(isUnread);
    if (!segment) return { batches: [], missing: 0 };
    const { path, read, readTo } = segment;
    const from = read === 0 ? undefined : { byte: read, position: readTo };
    this.#reader ??= new SegmentReader(path, delivered, from);
    segment.begun = true;
    const batches = await this.#reader.next().catch((error) => {
      this.#options.onDiskError(error);
      return undefined;
    });
    segment.read = this.#reader.byte;
    segment.lines -= countLines(batches ?? []);
    if (batches && isUnread(segment)) return { batches, missing: 0 };
    this.#reader = undefined;
    const missing = batches ? 0 : segment.lines;
    markRead(segment);
    return { batches: batches ?? [], missing };
  }

  /** Removes the oldest files of which nothing was read; `onLines` hears of their lines before. */
  async giveUp(bytes: number, onLines: (lines: number) => void): Promise<void> {
    for (const oldest of this.#waiting) {
      if (bytes <= 0 || oldest.path === this.#writer?.path) break;
      bytes -= oldest.bytes;
      for (const each of this.#segments) {
        if (each === oldest) break;
        each.beforeGap = true;
      }
      onLines(oldest.lines);
      await this.#drop(oldest);
    }
  }

  /** Whether the oldest file holds nothing any more that is not delivered. */
  hasDelivered(delivered: StreamPositions): boolean {
    const oldest = this.#segments[0];
    if (!oldest || isUnread(oldest) || oldest.path === this.#writer?.path) return false;
    return LogStream.options.every((stream) => oldest.end[stream] <= delivered[stream]);
  }

  /** Removes the oldest file. */
  async dropOldest(): Promise<void> {
    const oldest = this.#segments[0];
    if (oldest) await this.#drop(oldest);
  }

  /** Removes all files. */
  async remove(): Promise<void> {
    this.#closeWriter();
    for (const { path } of this.#segments) await Deno.remove(path).catch(() => {});
  }

  /** Closes what is open; the files stay. */
  close(): void {
    this.#closeWriter();
  }

  get #waiting(): Segment[] {
    return this.#segments.filter((each) => isUnread(each) && !each.begun);
  }

  async #segmentFor(batch: Batch, end: StreamPositions): Promise<Segment> {
    const current = this.#segments.at(-1);
    const writing = this.#writer && current?.path === this.#writer.path;
    if (writing && current.bytes < this.#options.segmentBytes) return current;
    this.#closeWriter();
    const from = { ...end, [batch.stream]: batch.end - batch.text.length };
    const path = segmentPath(this.#options.prefix, this.#nextNumber++);
    this.#writer = await SegmentWriter.create(path, from);
    const { bytes } = this.#writer;
    return this.#add({ path, bytes, read: bytes, readTo: from, lines: 0, end: from });
  }

  #add(fresh: Omit<Segment, "begun" | "beforeGap">): Segment {
    const segment = { ...fresh, begun: false, beforeGap: false };
    this.#segments.push(segment);
    return segment;
  }

  async #drop(segment: Segment): Promise<void> {
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    await Deno.remove(segment.path).catch(() => {});
  }

  #closeWriter(): void {
    this.#writer?.[Symbol.dispose]();
    this.#writer = undefined;
  }
}

function isUnread({ bytes, read }: Segment): boolean {
  return read < bytes;
}

/** Notes that all of a segment is, or was, in memory. */
function markRead(segment: Segment): void {
  segment.read = segment.bytes;
  segment.readTo = { ...segment.end };
  segment.lines = 0;
  segment.begun = true;
}

/** What of a batch comes behind a place of its stream. */
function behind(batch: Batch, place: number): Batch {
  const rest = Math.max(0, batch.end - place);
  return rest >= batch.text.length
    ? batch
    : { ...batch, text: batch.text.slice(batch.text.length - rest) };
}
