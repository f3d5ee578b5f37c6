import { join } from "@std/path";
import * as z from "@zod/zod";
import { writeAllNow } from "../system/atomic_file.ts";
import { openOwnSync, unmakeSync } from "../system/own_file.ts";
import { OutputSpool } from "./output_spool.ts";
import { TerminalStart } from "./payloads.ts";
import type { Size } from "./pty.ts";

/** One block: it is written whole or not at all. It is in memory, as the runtime folder is. */
const RECORD_BYTES = 4096;

const Kept = z.object({
  request: TerminalStart,
  /** The program that was chosen; empty until it runs. */
  shell: z.string(),
  cols: z.int(),
  rows: z.int(),
  isOpened: z.boolean(),
  inputs: z.int(),
  delivered: z.int(),
  onWayBytes: z.int(),
  delivery: z.object({
    ledger: z.object({
      first: z.object({ seq: z.int(), inputs: z.int() }).optional(),
      last: z.int(),
      ours: z.int(),
      numbering: z.object({ inputs: z.boolean().exactOptional() }),
    }).transform((ledger) => ({ ...ledger, first: ledger.first })),
    isOnWay: z.boolean(),
    probes: z.int(),
  }).optional(),
});

/** What the next agent has to know of a session. */
export type Progress = z.infer<typeof Kept>;

/**
 * A session in a folder of its own, for the agent that comes after this one: how far it is, and its
 * output that is not delivered. It is written with each step; a kill may come between any two.
 */
export class KeptSession implements Disposable {
  /** The session. */
  readonly sessionId: string;
  /** Its folder. */
  readonly folder: string;
  /** Its output. */
  readonly spool: OutputSpool;
  readonly #file: Deno.FsFile;
  #progress: Progress;

  private constructor(folder: string, progress: Progress) {
    this.sessionId = progress.request.sessionId;
    this.folder = folder;
    this.#progress = progress;
    using opened = new DisposableStack();
    this.#file = opened.use(openOwnSync(sessionPath(folder), { write: true, create: true }));
    this.spool = opened.use(new OutputSpool(outputPath(folder), progress.delivered));
    opened.move();
  }

  /** Makes the folder of a new session in one for all. @throws what the disk answers. */
  static create(folder: string, request: TerminalStart): KeptSession {
    Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const own = join(folder, request.sessionId);
    Deno.mkdirSync(own, { mode: 0o700 });
    const { cols, rows } = request;
    const start = { shell: "", isOpened: false, inputs: 0, delivered: 0, onWayBytes: 0 };
    const progress = { request: TerminalStart.parse(request), cols, rows, ...start };
    try {
      const kept = new KeptSession(own, progress);
      kept.note({});
      return kept;
    } catch (error) {
      unmakeSync(sessionPath(own), outputPath(own), own);
      throw error;
    }
  }

  /** Takes up what an earlier agent has left in a folder. @throws when it is not usable. */
  static open(folder: string): KeptSession {
    const block = new Uint8Array(RECORD_BYTES);
    using file = openOwnSync(sessionPath(folder), { read: true });
    const text = new TextDecoder().decode(block.subarray(0, file.readSync(block) ?? 0));
    return new KeptSession(folder, Kept.parse(JSON.parse(text)));
  }

  /** How far it is. */
  get progress(): Readonly<Progress> {
    return this.#progress;
  }

  /** Its size. */
  get size(): Size {
    return { cols: this.#progress.cols, rows: this.#progress.rows };
  }

  /**
   * Notes what has changed. A disk that refuses costs the next agent that step.
   *
   * @throws {RangeError} when there is more than can be kept; nothing has changed then.
   */
  note(changes: Partial<Progress>): void {
    const progress = { ...this.#progress, ...changes };
    const bytes = new TextEncoder().encode(JSON.stringify(progress));
    if (bytes.length > RECORD_BYTES) {
      throw new RangeError(`${bytes.length} bytes about a terminal are too many to be kept`);
    }
    this.#progress = progress;
    const block = new Uint8Array(RECORD_BYTES).fill(" ".charCodeAt(0));
    block.set(bytes);
    try {
      this.#file.seekSync(0, Deno.SeekMode.Start);
      writeAllNow(this.#file, block);
    } catch {
      // The session goes on; only the next agent would know less.
    }
  }

  /** Notes that the bytes on their way have arrived, with how far the delivery is then. */
  arrived(delivery: Progress["delivery"]): void {
    const delivered = this.#progress.delivered + this.#progress.onWayBytes;
    this.note({ delivered, onWayBytes: 0, delivery });
    this.spool.release(delivered);
  }

  /** Closes the files, which stay. */
  [Symbol.dispose](): void {
    this.#file.close();
    this.spool[Symbol.dispose]();
  }

  /** Removes the folder. */
  remove(): void {
    this[Symbol.dispose]();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function sessionPath(folder: string): string {
  return join(folder, "session.json");
}

function outputPath(folder: string): string {
  return join(folder, "output");
}

/** The folders of sessions in the one for all. */
export function keptFolders(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => join(folder, name));
  } catch {
    return [];
  }
}
