import { delay } from "@std/async";
import { openLibc, readKernelFile } from "../system/libc.ts";

/** Processor times tick in 10 ms steps: over a shorter interval a percentage says nothing. */
const MIN_INTERVAL_MS = 100;
/** What the kernel counts in. */
const TICK_MS = 10;

/** How busy the processors are, in the contract's words (Realtime, `agent.metrics`). */
export interface CpuUsage {
  /** Of all cores together. */
  usagePercent: number;
}

/** What the cores have done since boot. */
export interface CoreTimes {
  /** How many there are. */
  cores: number;
  /** Of all of them together, in milliseconds. */
  busyMs: number;
}

/** What a {@linkcode CpuMeter} asks the machine. */
export interface CpuSources {
  /** The times of the cores. */
  times?: () => CoreTimes;
  /** A clock that only goes forward, in milliseconds. */
  now?: () => number;
}

interface Reading extends CoreTimes {
  atMs: number;
}

/**
 * Measures how busy the processors were between two of its readings.
 *
 * Busy time is set against the clock, not against the idle time: a machine that only waits for a
 * disk must not look busy.
 */
export class CpuMeter {
  readonly #sources: Required<CpuSources>;
  #before: Reading | undefined;

  /** Nothing is read yet. */
  constructor(sources: CpuSources = {}) {
    this.#sources = { times: readCoreTimes, now: () => performance.now(), ...sources };
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
    return { ...this.#sources.times(), atMs: this.#sources.now() };
  }
}

/** As proc_stat(5) has them, which counts in hundredths of a second. */
function readCoreTimes(): CoreTimes {
  using libc = openLibc();
  const lines = readKernelFile(libc, "/proc/stat").split("\n");
  const fields = (lines[0] ?? "").split(/ +/).slice(1).map(Number);
  const [user = NaN, nice = NaN, system = NaN, _idle, _wait, irq = NaN] = fields;
  const cores = lines.filter((line) => /^cpu\d/.test(line)).length;
  return { cores, busyMs: (user + nice + system + irq) * TICK_MS };
}
