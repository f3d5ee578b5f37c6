import type { LogEntry, LogStream } from "../control_plane/schemas.ts";
import { cutLongLines, storable } from "./line_decoder.ts";
import { type BatchedEntry, EntryBatcher } from "./entry_batcher.ts";
import { batchWaitMs, ROWS } from "./batch_policy.ts";
import type { Spool } from "./spool.ts";

/** So many full entries of one stream may pass an older line of another. */
const MAX_PASSES = 5;

/** What a delivery works with. */
export interface LogUploaderOptions {
  /** Holds the lines until the control plane has them. */
  spool: Spool;
  /**
   * Delivers one entry. True once the control plane has it, or has refused it for good; false to
   * give the delivery up, with this entry undelivered.
   */
  send: (entry: LogEntry) => Promise<boolean>;
  /** A clock that only goes forward, in milliseconds. */
  now?: () => number;
}

/**
 * Delivers the lines of one task in order, one entry at a time.
 *
 * Entries are a budget, since operators see the first 100 of a task only. The first 60 are one line
 * each; then lines wait for company, the longer the more entries were used, and go at once when an
 * entry is full or no more will come.
 */
export class LogUploader {
  readonly #options: Required<LogUploaderOptions>;
  readonly #batcher = new EntryBatcher();
  #waitingSince = 0;
  /** How many full entries have passed the oldest line by now. */
  #passes = 0;
  #ended = false;
  #stopped = false;
  #hurried = false;
  /** Whether something came since the last look, so that it is not slept over. */
  #news = false;
  #wakeUp: () => void = () => {};

  /** Nothing is delivered before {@linkcode LogUploader.run}. */
  constructor(options: LogUploaderOptions) {
    this.#options = { now: () => performance.now(), ...options };
  }

  /** Takes whole lines, each with its newline; resolves when they are safe. */
  async push(stream: LogStream, lines: string, atMs: number): Promise<void> {
    if (lines === "") return;
    await this.#options.spool.push(stream, lines, atMs);
    this.#wake();
  }

  /** Adds a line of the agent's own. */
  note(line: string, atMs: number): Promise<void> {
    return this.push("system", cutLongLines(storable(line) + "\n"), atMs);
  }

  /** Says that no more lines will come: what waits for company goes out. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Packs all that is left into as few entries as it needs: there is little time. */
  hurry(): void {
    this.#hurried = true;
    this.#wake();
  }

  /** Sends no further entry; the one under way is seen to its end by {@linkcode LogUploader.run}. */
  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  /** Delivers until the last line after `end`, or until `stop`; true if nothing is left. */
  async run(): Promise<boolean> {
    while (!this.#stopped) {
      this.#news = false;
      await this.#fill();
      if (this.#batcher.empty) {
        if (this.#ended) return true;
        await this.#woken();
        continue;
      }
      const waitMs = this.#waitMs();
      if (waitMs > 0) {
        await this.#woken(waitMs);
        continue;
      }
      const entry = this.#nextEntry();
      if (entry && !await this.#deliver(entry)) return false;
    }
    await this.#fill();
    return this.#batcher.empty;
  }

  /** A full entry goes first, but not again and again while older lines of another stream wait. */
  #nextEntry(): BatchedEntry | undefined {
    if (!this.#packs) return this.#batcher.takeLine();
    const full = this.#passes < MAX_PASSES ? this.#batcher.fullStream : undefined;
    const passes = full !== undefined && full !== this.#batcher.oldestStream;
    this.#passes = passes ? this.#passes + 1 : 0;
    return this.#batcher.take(full);
  }

  /** The first lines are a row each, in the order in which they came. */
  get #packs(): boolean {
    return this.#hurried || this.#options.spool.cursor.entries >= ROWS;
  }

  #waitMs(): number {
    if (this.#ended || this.#hurried || this.#batcher.fullStream) return 0;
    const waited = this.#options.now() - this.#waitingSince;
    return batchWaitMs(this.#options.spool.cursor.entries) - waited;
  }

  async #fill(): Promise<void> {
    while (!this.#batcher.fullStream) {
      const batch = await this.#options.spool.shift();
      if (!batch) return;
      if (this.#batcher.empty) this.#waitingSince = this.#options.now();
      this.#batcher.add(batch);
    }
  }

  async #deliver({ stream, text, atMs, end, leftOut }: BatchedEntry): Promise<boolean> {
    const goOn = await this.#options.send({
      stream,
      // The control plane refuses an empty line (contract: Tasks over HTTP).
      line: text === "" ? " " : text,
      timestamp: new Date(atMs).toISOString(),
    });
    if (goOn) this.#options.spool.delivered(stream, end, leftOut);
    this.#waitingSince = this.#options.now();
    return goOn;
  }

  #wake(): void {
    this.#news = true;
    this.#wakeUp();
  }

  async #woken(limitMs?: number): Promise<void> {
    if (this.#news) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wakeUp = resolve;
    const timer = limitMs === undefined ? undefined : setTimeout(resolve, limitMs);
    await promise;
    clearTimeout(timer);
  }
}
