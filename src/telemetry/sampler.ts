import { msToBeat } from "../system/periodic.ts";
import { pauseUntil } from "../system/deadline.ts";
import type { MetricsSnapshot } from "./snapshot.ts";

/** What a {@linkcode TelemetrySampler} works with. */
export interface TelemetrySamplerOptions {
  /** Takes a snapshot; undefined when there is nothing to send. */
  read: (signal: AbortSignal) => Promise<MetricsSnapshot | undefined>;
  /** Who listens. */
  link: {
    /** Resolves as soon as somebody does; rejects when the signal aborts. */
    whenReady(signal?: AbortSignal): Promise<void>;
    /** Takes a snapshot to send. */
    emitMetrics(snapshot: MetricsSnapshot): void;
  };
  /** Time from one snapshot to the next, in milliseconds; asked anew each time. */
  intervalMs: () => number;
}

/**
 * Sends a snapshot in every interval, one after the other. While nobody listens none is taken: what
 * counts afterwards is how the machine is then.
 */
export class TelemetrySampler {
  readonly #options: TelemetrySamplerOptions;
  #endPause = () => {};

  /** Nothing happens before {@linkcode TelemetrySampler.run}. */
  constructor(options: TelemetrySamplerOptions) {
    this.#options = options;
  }

  /** Ends the pause before the next snapshot. One that is being taken already will do. */
  sampleNow(): void {
    this.#endPause();
  }

  /** Samples until the signal aborts, which is no error. */
  async run(signal: AbortSignal): Promise<void> {
    const { read, link, intervalMs } = this.#options;
    const endPause = () => this.#endPause();
    signal.addEventListener("abort", endPause);
    try {
      while (!signal.aborted) {
        await link.whenReady(signal);
        const snapshot = await read(signal);
        if (snapshot) link.emitMetrics(snapshot);
        if (!signal.aborted) await this.#pause(msToBeat(intervalMs()));
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", endPause);
    }
  }

  async #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#endPause = resolve;
    await pauseUntil(promise, ms);
  }
}
