import type { Batch } from "./batch.ts";

/** What a batch costs in memory beside its text, in bytes, as a rough figure. */
const BATCH_OVERHEAD = 200;

/** Batches in order of arrival. Taking one costs the same however many wait. */
export class BatchQueue {
  #batches: Batch[] = [];
  #next = 0;
  #units = 0;

  /** What the batches cost in memory, roughly, in UTF-16 units. */
  get units(): number {
    return this.#units;
  }

  /** Whether nothing waits. */
  get empty(): boolean {
    return this.#next === this.#batches.length;
  }

  /** Adds the newest. */
  push(batch: Batch): void {
    this.#batches.push(batch);
    this.#units += batch.text.length + BATCH_OVERHEAD;
  }

  /** Takes the oldest, if there is one. */
  shift(): Batch | undefined {
    const batch = this.#batches[this.#next];
    if (!batch) return undefined;
    this.#units -= batch.text.length + BATCH_OVERHEAD;
    this.#next++;
    // `Array.shift` moves all that is behind: minutes for the many short lines of one segment.
    if (this.#next * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#next);
      this.#next = 0;
    }
    return batch;
  }
}
