/**
 * Every rule of how the bytes of a task's streams become log entries: what a line is, what of a line
 * that is written over is shown, which lines share an entry, and how long they wait for that.
 *
 * @module
 */
import { type LogEntry, LogStream } from "../control_plane/schemas.ts";
import { type MaskedStream, SecretMask } from "./secret_mask.ts";
import type { Gap } from "./spool_index.ts";

/** The longest text of one log entry, in code points (contract: Tasks over HTTP, `logs`). */
export const MAX_ENTRY_CODE_POINTS = 5_000;
/** So many entries of a task are shown to operators (contract: Tasks over HTTP). */
export const SHOWN_ENTRIES = 100;
/** So many entries are one line each: operators see a row for an entry, without its line breaks. */
export const ROWS = 60;

const FIRST_WAIT_MS = 2_000;
const WAIT_GROWTH = 1.3;
const MAX_WAIT_MS = 60_000;
/** So many full entries of one stream may pass an older line of another. */
const MAX_PASSES = 5;
/** Somebody may be asked something: so long a line that does not end is waited for, in milliseconds. */
const UNFINISHED_MS = 2_000;
/** By so much longer each time: a download of half an hour is shown in fewer than 20 states. */
const UNFINISHED_GROWTH = 1.4;

/**
 * How long a line may wait for others to share its entry with, in milliseconds, when the task has
 * used `entries` entries. The rows do not wait; the entries that are left of those that operators
 * see are stretched, from 2 s up to a minute, over the half hour that a task may take; what nobody
 * will see waits 2 s.
 */
export function batchWaitMs(entries: number): number {
  if (entries < ROWS) return 0;
  if (entries >= SHOWN_ENTRIES) return FIRST_WAIT_MS;
  return Math.min(FIRST_WAIT_MS * WAIT_GROWTH ** (entries - ROWS), MAX_WAIT_MS);
}

/**
 * Turns the bytes of a stream into whole lines that the control plane can store.
 *
 * UTF-8 may be split anywhere; invalid bytes and NUL become U+FFFD; `\r\n` ends a line like `\n`;
 * a line of more than 5000 code points is cut into consecutive ones. Secrets are masked before.
 */
export class LineDecoder {
  readonly #mask: SecretMask;
  readonly #hidden: string;
  readonly #progress: ProgressLine | undefined;
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #masked: MaskedStream;
  #partial = "";
  /** How often more of a line was shown that had been shown before, or written over. */
  #repeats = 0;
  /** Whether a line was left out because it is hidden. */
  hasHidden = false;
  /** When what there is of an unfinished line is to be shown, in the time that `push` is given. */
  showAtMs = Infinity;

  /**
   * `mask` knows the secrets; there are none by default. With `forPeople` of a line that is written
   * over only the newest state comes out, and one that does not end is shown after some time. The end
   * of a line that is `hidden` does not come out, nor its newline.
   */
  constructor(mask: SecretMask = new SecretMask([]), { forPeople = false, hidden = "" } = {}) {
    this.#mask = mask;
    this.#hidden = hidden === "" ? "" : `${mask.apply(hidden)}\n`;
    this.#masked = mask.stream();
    this.#progress = forPeople ? new ProgressLine() : undefined;
  }

  /** Whether all that was taken, whole characters, has come out: nothing depends on it any more. */
  get isEmpty(): boolean {
    return this.#partial === "" && this.#masked.isEmpty;
  }

  /** Takes the next bytes; returns the lines they complete, each with its `\n`, or "". */
  push(bytes: Uint8Array, nowMs = 0): string {
    const lines = this.#take(this.#masked.push(this.#decoder.decode(bytes, { stream: true })));
    if (this.#progress) this.#plan(lines !== "", nowMs);
    return lines;
  }

  /** What was begun, as a line of its own, or "": its end may be waited for long. Only for people. */
  show(): string {
    this.showAtMs = Infinity;
    const isRepeated = this.#progress?.isRepeated ?? false;
    const shown = this.#progress?.show(this.#partial) ?? "";
    this.#partial = "";
    if (shown !== "" && isRepeated) this.#repeats++;
    return cutLongLines(shown);
  }

  /** Ends the stream: returns what was not ended by a newline as a last line, or "". */
  end(): string {
    const lines = this.#take(this.#masked.push(this.#decoder.decode()) + this.#masked.end());
    const last = this.#partial;
    this.#partial = "";
    this.showAtMs = Infinity;
    return last === "" ? lines : lines + this.#wholeLines(last + "\n");
  }

  /** Forgets what was begun: its end is missing. */
  drop(): void {
    this.#decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    this.#masked = this.#mask.stream();
    this.#partial = "";
    this.showAtMs = Infinity;
  }

  /** Plans when the line that was begun is shown, if it does not end before. */
  #plan(isAnother: boolean, nowMs: number): void {
    const hasBegun = this.#partial !== "";
    if (isAnother || !hasBegun) this.showAtMs = Infinity;
    if (!hasBegun || this.showAtMs < Infinity) return;
    const growth = this.#progress?.isRepeated ? UNFINISHED_GROWTH ** this.#repeats : 1;
    this.showAtMs = nowMs + UNFINISHED_MS * growth;
  }

  #take(decoded: string): string {
    if (decoded === "") return "";
    let text = this.#partial + decoded.replaceAll("\0", "\ufffd");
    if (text.includes("\r\n")) text = text.replaceAll("\r\n", "\n");
    if (this.#hidden !== "" && text.includes(this.#hidden)) {
      this.hasHidden = true;
      text = text.replaceAll(this.#hidden, "");
    }
    const end = text.lastIndexOf("\n") + 1;
    const lines = this.#wholeLines(text.slice(0, end));
    const rest = text.slice(end);
    this.#partial = this.#progress?.rest(rest) ?? rest;
    return lines + this.#cutPartial();
  }

  #wholeLines(lines: string): string {
    return cutLongLines(this.#progress?.end(lines) ?? lines);
  }

  /** A line that never ends must not fill the memory: all but its last piece can go already. */
  #cutPartial(): string {
    if (this.#partial.length <= 2 * MAX_ENTRY_CODE_POINTS) return "";
    // A carriage return at the end may turn out to be half of a line's end.
    const held = this.#partial.endsWith("\r") ? "\r" : "";
    const whole = this.#partial.slice(0, this.#partial.length - held.length);
    const cut = cutLongLines(whole + "\n").slice(0, -1);
    const end = cut.lastIndexOf("\n") + 1;
    this.#partial = cut.slice(end) + held;
    return cut.slice(0, end);
  }
}

/** The lines of a program's output, masked, for a parser. */
export async function* linesOf<Stream extends "stdout" | "stderr">(
  output: AsyncIterable<{ stream: Stream; bytes: Uint8Array }>,
  mask: SecretMask,
): AsyncGenerator<{ stream: Stream; lines: string }, void> {
  const decoders = new Map<Stream, LineDecoder>();
  for await (const { stream, bytes } of output) {
    const decoder = decoders.get(stream) ?? new LineDecoder(mask);
    decoders.set(stream, decoder);
    const lines = decoder.push(bytes);
    if (lines !== "") yield { stream, lines };
  }
  for (const [stream, decoder] of decoders) {
    const lines = decoder.end();
    if (lines !== "") yield { stream, lines };
  }
}

/**
 * A line that a program writes over again and again, as progress bars do: what counts is its newest
 * state, as on a terminal. What was shown of it before its end is not shown twice.
 */
class ProgressLine {
  #shown: string | undefined;
  #isRewritten = false;

  /** Whether something of it was shown already, or written over. */
  get isRepeated(): boolean {
    return this.#isRewritten || this.#shown !== undefined;
  }

  /** What has to be kept of the line so far. */
  rest(line: string): string {
    if (!line.includes("\r")) return line;
    this.#isRewritten = true;
    // The next character may make a line's end of it.
    return newestState(line) + (line.endsWith("\r") ? "\r" : "");
  }

  /** What there is to be shown of the line so far, with a newline, or "". */
  show(line: string): string {
    const state = newestState(line);
    if (this.#isOld(state)) return "";
    this.#shown = state;
    return state + "\n";
  }

  /** Takes whole lines, the first of which is the one that was kept; returns what is to be shown. */
  end(lines: string): string {
    if (lines === "") return "";
    const firstEnd = lines.indexOf("\n") + 1;
    const first = lines.slice(0, firstEnd - 1);
    const state = newestState(first);
    this.#isRewritten ||= first.includes("\r");
    const isOld = this.#shown !== undefined && this.#isOld(state);
    this.#shown = undefined;
    this.#isRewritten = false;
    const others = lines.slice(firstEnd);
    return (isOld ? "" : state + "\n") +
      (others.includes("\r") ? others.split("\n").map(newestState).join("\n") : others);
  }

  #isOld(state: string): boolean {
    return state === "" || (this.#isRewritten && state === this.#shown);
  }
}

/** What a terminal shows of a line in the end, but for what a shorter state leaves of a longer one. */
function newestState(line: string): string {
  if (!line.includes("\r")) return line;
  const text = line.replace(/\r+$/, "");
  return text.slice(text.lastIndexOf("\r") + 1);
}

/** Text as the control plane's database can store it: without NUL and lone surrogates. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\ufffd");
}

/** Cuts the lines of `text`, which ends with a newline or is empty, to at most 5000 code points each. */
export function cutLongLines(text: string): string {
  let result = "";
  let kept = 0;
  for (let at = 0; at < text.length;) {
    // A jump of the longest length that lands behind a newline has passed no line that is longer.
    const newline = text.lastIndexOf("\n", at + MAX_ENTRY_CODE_POINTS);
    if (newline >= at) {
      at = newline + 1;
      continue;
    }
    const end = endOfCodePoints(text, at, MAX_ENTRY_CODE_POINTS);
    const lineEnd = text.indexOf("\n", at);
    if (lineEnd <= end) {
      at = lineEnd + 1;
      continue;
    }
    result += text.slice(kept, end) + "\n";
    kept = at = end;
  }
  return kept === 0 ? text : result + text.slice(kept);
}

const SURROGATE = /[\ud800-\udfff]/;

/** The index behind the `count`th code point from `start`; pairs of surrogates are not split. */
function endOfCodePoints(text: string, start: number, count: number): number {
  const part = text.slice(start, start + count);
  // Hardly any text has pairs, and the engine sees that much sooner than a loop does.
  if (!SURROGATE.test(part)) return start + part.length;
  let at = start;
  for (let left = count; left > 0 && at < text.length; left--) {
    at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  }
  return at;
}

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
  /** What was left out, if this is the note that tells of it. */
  gap?: Gap;
}

/** The text of one log entry and how far its stream has come with it. */
export interface BatchedEntry extends Omit<Batch, "gap"> {
  /** The gaps that it tells of. */
  gaps: Gap[];
}

/** An entry as it is posted: the control plane refuses an empty line (contract: Tasks over HTTP). */
export function toLogEntry({ stream, text, atMs }: BatchedEntry): LogEntry {
  return { stream, line: text === "" ? " " : text, timestamp: new Date(atMs).toISOString() };
}

/** The oldest undelivered lines, out of which the next log entry is made. */
export class EntryBatcher {
  readonly #batches: Batch[] = [];
  readonly #units: Record<LogStream, number> = { stdout: 0, stderr: 0, system: 0 };
  /** How many full entries have passed the oldest line by now. */
  #passes = 0;

  /** Adds the next lines in order of arrival. */
  add(batch: Batch): void {
    this.#batches.push(batch);
    this.#units[batch.stream] += batch.text.length;
  }

  /** Whether there is nothing to be sent. */
  get empty(): boolean {
    return this.#batches.length === 0;
  }

  /** The stream that has enough lines for a full entry, if one has. */
  get fullStream(): LogStream | undefined {
    return LogStream.options.find((stream) => this.#units[stream] > MAX_ENTRY_CODE_POINTS);
  }

  /**
   * The next entry: with `packs` as many lines as it holds, else one. A full one goes first, but
   * not again and again while older lines of another stream wait.
   */
  next(packs: boolean): BatchedEntry | undefined {
    if (!packs) return this.takeLine();
    const full = this.#passes < MAX_PASSES ? this.fullStream : undefined;
    const passes = full !== undefined && full !== this.#batches[0]?.stream;
    this.#passes = passes ? this.#passes + 1 : 0;
    return this.take(full);
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
        gaps: [...entry?.gaps ?? [], ...next.gaps],
      };
      if (!isWhole) break;
    }
    return entry;
  }

  /** Takes the first lines of a batch, up to the newline at `cut`. */
  #cut(index: number, batch: Batch, cut: number): BatchedEntry {
    const { stream, atMs, end, gap } = batch;
    const text = batch.text.slice(0, cut);
    batch.text = batch.text.slice(cut + 1);
    this.#units[stream] -= cut + 1;
    if (batch.text === "") this.#batches.splice(index, 1);
    return { stream, text, atMs, end: end - batch.text.length, gaps: gap ? [gap] : [] };
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
