import * as z from "@zod/zod";
import { FixedRecord } from "../system/fixed_record.ts";
import { Mutex } from "../system/mutex.ts";

const Kept = z.array(z.guid());

/**
 * The ids of the terminals that are open, kept so that the next agent can answer for those of an
 * agent that was killed: their operators would go on typing. A disk that refuses costs only that.
 */
export class OpenSessions {
  /** Those that an earlier agent left open. */
  readonly left: readonly string[];
  readonly #record: FixedRecord;
  readonly #ids: Set<string>;
  readonly #keeping = new Mutex();

  private constructor(record: FixedRecord, left: readonly string[]) {
    this.#record = record;
    this.#ids = new Set(left);
    this.left = left;
  }

  /** Takes up what the file `path` keeps. Never throws. */
  static async open(path: string): Promise<OpenSessions> {
    const record = new FixedRecord(path);
    try {
      return new OpenSessions(record, Kept.parse(JSON.parse(await record.read())));
    } catch {
      return new OpenSessions(record, []);
    }
  }

  /** Notes that a terminal is open. */
  add(sessionId: string): void {
    this.#ids.add(sessionId);
    this.#keep();
  }

  /** Notes that a terminal has ended, or that its operator knows. */
  delete(sessionId: string): void {
    if (this.#ids.delete(sessionId)) this.#keep();
  }

  /** Resolves when all that was noted has been written, or could not be. */
  async kept(): Promise<void> {
    await this.#keeping.idle();
  }

  #keep(): void {
    const write = () => this.#record.write(JSON.stringify([...this.#ids]));
    this.#keeping.take(write).catch(() => {});
  }
}
