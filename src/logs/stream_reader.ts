import { LineDecoder } from "./log_entries.ts";
import type { SecretMask } from "./secret_mask.ts";
import type { Chunk } from "./spool_disk.ts";
import { NEWLINE, type StreamCursor } from "./spool_index.ts";

/** After so much of one line reading can begin anew in its middle. */
const MAX_UNMARKED_BYTES = 1 << 20;

/** A place in a stream at which reading can begin anew: nothing before it matters behind it. */
interface Mark {
  units: number;
  byte: number;
  record: number;
  /** Whether the text behind it comes from the disk, where the next agent finds it as well. */
  isExact: boolean;
}

/** Reads the bytes of one stream into lines, and knows from where on they are not delivered. */
export class StreamReader {
  /** Makes lines of its bytes. */
  readonly decoder: LineDecoder;
  /** How much text has come out, in UTF-16 units. */
  units = 0;
  #deliveredUnits = 0;
  readonly #marks: Mark[] = [];
  #mark: Mark;
  /** Up to where an earlier agent has delivered, until that is reached. */
  #resumeAt: StreamCursor | undefined;
  /** How much of the text that comes next is delivered. */
  #skipUnits = 0;
  /** Where the next bytes should begin; unknown behind a gap. */
  #at: number | undefined = 0;
  /** Whether the next bytes begin in a line that is left out. */
  #isCut = false;
  /** How much has come since the last mark, and whether it ends with a whole character. */
  #unmarkedBytes = 0;
  #isWhole = true;

  /** Goes on where the cursor is; `record` is its place in the index. `hidden` is a line that is left out. */
  constructor(mask: SecretMask, hidden: string, { byte, units }: StreamCursor, record: number) {
    this.decoder = new LineDecoder(mask, { forPeople: true, hidden });
    this.#mark = { units: 0, byte, record, isExact: true };
    this.#deliveredUnits = units;
    if (byte > 0 || units > 0) this.#resumeAt = { byte, units };
  }

  /** How far delivery has come. */
  get cursor(): StreamCursor {
    const { byte, units, isExact } = this.#mark;
    // Lines that come twice are better than a part of others that is taken for them.
    return { byte, units: isExact ? this.#deliveredUnits - units : 0 };
  }

  /** How much of the text that has come out is not delivered. */
  get pendingUnits(): number {
    return Math.max(0, this.units - this.#deliveredUnits);
  }

  /** Whether something is not delivered. */
  get isPending(): boolean {
    return this.isResuming || this.pendingUnits > 0 || !this.decoder.isEmpty;
  }

  /** The place in the index where that begins. */
  get record(): number {
    return this.#mark.record;
  }

  /** Whether what an earlier agent has delivered is not passed yet. */
  get isResuming(): boolean {
    return this.#resumeAt !== undefined;
  }

  /** How many bytes before a chunk are gone. */
  missingBefore({ start, isOnDisk }: Chunk): number {
    const missing = isOnDisk && this.#at !== undefined ? start - this.#at : 0;
    if (missing > 0) this.leaveOut(true);
    return missing;
  }

  /** How many bytes of a chunk are delivered. */
  deliveredOf({ start, bytes }: Chunk): number {
    const { byte } = this.#resumeAt ?? { byte: 0 };
    return Math.max(0, Math.min(bytes.length, byte - start));
  }

  /** Begins anew at a byte, where an earlier agent would have gone on. */
  resume(byte: number): void {
    const isThere = this.#resumeAt?.byte === byte;
    this.decoder.drop();
    this.#isCut &&= !isThere;
    this.#skipUnits = isThere ? this.#resumeAt?.units ?? 0 : 0;
    this.#mark = { ...this.#mark, units: this.units, byte, isExact: true };
    this.#deliveredUnits = this.units + this.#skipUnits;
    this.#resumeAt = undefined;
  }

  /** Takes the next bytes; returns the lines that they complete. */
  take({ bytes, start, isOnDisk, record }: Chunk, nowMs: number): string {
    this.#at = isOnDisk ? start + bytes.length : start;
    if (!isOnDisk) {
      this.#setMark("", start, record);
      (this.#marks.at(-1) ?? this.#mark).isExact = false;
    }
    let begin = 0;
    if (this.#isCut) {
      begin = bytes.indexOf(NEWLINE) + 1;
      if (begin === 0) return "";
      this.#isCut = false;
    }
    const end = Math.max(begin, bytes.lastIndexOf(NEWLINE) + 1);
    let lines = "";
    this.#isWhole = true;
    if (end > begin) {
      lines = this.decoder.push(bytes.subarray(begin, end), nowMs);
      this.#setMark(lines, isOnDisk ? start + end : start, record);
      if (!isOnDisk) (this.#marks.at(-1) ?? this.#mark).isExact = false;
    }
    if (end === bytes.length) return this.#out(lines);
    lines += this.decoder.push(bytes.subarray(end), nowMs);
    this.#isWhole = (bytes.at(-1) ?? 0) < 0x80;
    this.#unmarkedBytes += bytes.length - end;
    if (this.#unmarkedBytes > MAX_UNMARKED_BYTES) {
      lines += this.decoder.show();
      this.#setMark(lines, this.#at, record);
    }
    return this.#out(lines);
  }

  /** What was begun, as a line of its own. */
  show(): string {
    const shown = this.decoder.show();
    if (this.#at !== undefined) this.#setMark(shown, this.#at, this.#mark.record);
    return this.#out(shown);
  }

  /** The last line. */
  end(): string {
    return this.#out(this.decoder.end());
  }

  /** Leaves out the line that was begun, and what follows up to its end if that is still to come. */
  leaveOut(isOpen: boolean): void {
    this.decoder.drop();
    this.#isCut = isOpen;
    this.#at = undefined;
  }

  /** Of lines that have come out those that no earlier agent has delivered. */
  withoutDelivered(lines: string): string {
    const skipped = Math.min(this.#skipUnits, lines.length);
    this.#skipUnits -= skipped;
    return lines.slice(skipped);
  }

  /** Notes that the lines up to here are delivered. */
  delivered(units: number): void {
    this.#deliveredUnits = Math.max(this.#deliveredUnits, units);
    while (this.#marks[0] && this.#marks[0].units <= this.#deliveredUnits) {
      this.#mark = this.#marks.shift() ?? this.#mark;
    }
  }

  #out(lines: string): string {
    this.units += lines.length;
    return lines;
  }

  #setMark(lines: string, byte: number, record: number): void {
    // Characters must not be parted.
    if (!this.decoder.isEmpty || !this.#isWhole) return;
    this.#unmarkedBytes = 0;
    this.#marks.push({ units: this.units + lines.length, byte, record, isExact: true });
  }
}
