import type { Batch } from "./batch.ts";
import { bytesOf, type LogMemory } from "./log_memory.ts";

/** What a batch costs in memory beside its text, in bytes, as a rough figure. */
const BATCH_OVERHEAD = 200;

/** Batches in order of arrival. Taking one costs the same however many wait. */
export class BatchQueue {
  #memory: LogMemory | undefined;
  #batches: Batch[] = [];
  #next = 0;
  #bytes = 0;

  /** `memory` is told what the batches take. */
  constructor(memory?: LogMemory) {
    this.#memory = memory;
  }

  /** What the batches take in memory, roughly, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many wait. */
  get size(): number {
    return this.#batches.length - this.#next;
  }

  /** Whether nothing waits. */
  get empty(): boolean {
    return this.size === 0;
  }

  /** Adds the newest. */
  push(batch: Batch): void {
    this.#batches.push(batch);
    this.#count(bytesOf(batch.text) + BATCH_OVERHEAD);
  }

  /** Takes the oldest, if there is one. */
  shift(): Batch | undefined {
    const batch = this.#batches[this.#next];
    if (!batch) return undefined;
    this.#count(-bytesOf(batch.text) - BATCH_OVERHEAD);
    this.#next++;
    // `Array.shift` moves all that is behind: minutes for the many short lines of one segment.
    if (this.#next * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#next);
      this.#next = 0;
    }
    return batch;
  }

  /** Counts for the memory no more: nobody will take what waits. */
  detach(): void {
    this.#memory?.add(-this.#bytes);
    this.#memory = undefined;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#memory?.add(bytes);
  }
}
