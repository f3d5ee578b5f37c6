import { delay } from "@std/async";
import { cpus } from "node:os";

/** Processor times tick in 10 ms steps: over a shorter interval a percentage says nothing. */
const MIN_INTERVAL_MS = 100;

/** How busy the processors are, in the contract's words (Realtime, `agent.metrics`). */
export interface CpuUsage {
  /** Of all cores together. */
  usagePercent: number;
}

/** The times one core has spent since boot, in milliseconds. */
export interface CoreTimes {
  /** Of what it did; waiting is left out. */
  times: { user: number; nice: number; sys: number; irq: number };
}

/** What a {@linkcode CpuMeter} asks the machine. */
export interface CpuSources {
  /** The times of each core. */
  cores?: () => CoreTimes[];
  /** A clock that only goes forward, in milliseconds. */
  now?: () => number;
}

interface Reading {
  atMs: number;
  cores: number;
  busyMs: number;
}

/**
 * Measures how busy the processors were between two of its readings.
 *
 * Busy time is set against the clock, not against the idle time: `os.cpus()` leaves out the time
 * spent waiting for a disk, and a machine that only waits must not look busy.
 */
export class CpuMeter {
  readonly #sources: Required<CpuSources>;
  #before: Reading | undefined;

  /** Nothing is read yet. */
  constructor(sources: CpuSources = {}) {
    this.#sources = { cores: cpus, now: () => performance.now(), ...sources };
  }

  /**
   * The usage of all cores since the last call, in percent. Less than 100 ms after it, and at first
   * where there is no last call, the rest of these 100 ms is waited for and measured; an abort ends
   * the wait and is thrown.
   */
  async read(signal?: AbortSignal): Promise<CpuUsage> {
    const before = this.#before ??= this.#look();
    const waitMs = before.atMs + MIN_INTERVAL_MS - this.#sources.now();
    if (waitMs > 0) await delay(waitMs, signal && { signal });

    const after = this.#before = this.#look();
    // A core that came or went took its times since boot with it.
    if (after.cores !== before.cores) return await this.read(signal);
    const spanMs = (after.atMs - before.atMs) * after.cores;
    return { usagePercent: (after.busyMs - before.busyMs) / spanMs * 100 };
  }

  #look(): Reading {
    const cores = this.#sources.cores();
    const busyMs = cores.reduce(
      (sum, { times: { user, nice, sys, irq } }) => sum + user + nice + sys + irq,
      0,
    );
    return { atMs: this.#sources.now(), cores: cores.length, busyMs };
  }
}
