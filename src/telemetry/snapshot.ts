import * as z from "@zod/zod";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";
import { CpuMeter, type CpuUsage } from "./cpu.ts";
import { type DiskUsage, readDisk } from "./disk.ts";
import { readKernelFiles } from "./kernel_files.ts";
import { type MemoryUsage, readMemory } from "./memory.ts";
import { NETWORK_FILE, parseNetworks } from "./network_traffic.ts";
import { findTemperatureFiles, highestTemperature } from "./temperature.ts";

/** Sensors come with drivers and devices: they are looked for again after this time. */
const FIND_SENSORS_AGAIN_MS = 600_000;

/** A single percentage out of range makes the control plane refuse the whole snapshot. */
const percent = z.number().transform((value) => rounded(Math.min(100, Math.max(0, value))));
const count = z.int().nonnegative();

const Cpu = z.object({ usagePercent: percent });
const Memory = z.object({
  totalBytes: count.positive(),
  usedBytes: count,
  freeBytes: count,
  usedPercent: percent,
  availableBytes: count,
});
const Disk = z.object({
  path: z.string(),
  totalBytes: count.positive(),
  usedBytes: count,
  freeBytes: count,
  usedPercent: percent,
});
const Network = z.object({
  rxBytes: count,
  txBytes: count,
  rxPackets: count,
  txPackets: count,
  errorsIn: count,
  errorsOut: count,
  dropIn: count,
  dropOut: count,
  interfaces: z.array(z.object({
    interface: z.string().min(1),
    bytesSent: count,
    bytesRecv: count,
    packetsSent: count,
    packetsRecv: count,
    errorsIn: count,
    errorsOut: count,
    dropIn: count,
    dropOut: count,
  })),
});
const Temperature = z.number().transform(rounded);
const Sensors = z.array(z.string());

/** What operators do not see while a metric cannot be read. */
const LOST = {
  cpu: "all metrics",
  memory: "all metrics",
  disk: "all metrics",
  network: "network counters",
  temperature: "temperature",
  sensors: "temperature",
} as const;
type Metric = keyof typeof LOST;

/**
 * The payload of `agent.metrics` (contract: Realtime) without what names the node. Percentages are
 * 0 to 100 and, like the temperature in °C, have at most two decimals.
 */
export type MetricsSnapshot = {
  /** When it was taken, RFC 3339. */
  collectedAt: string;
  cpuUsage: number;
  memoryUsage: number;
  diskUsage: number;
  /** The highest of all sensors; not there on a machine without one. */
  temperature?: number;
  cpu: z.infer<typeof Cpu>;
  memory: z.infer<typeof Memory>;
  disk: z.infer<typeof Disk>;
  networkStats?: z.infer<typeof Network>;
};

/** What reads the single metrics. */
export interface Readers {
  /** Usage of all cores since the call before. */
  cpu: (signal?: AbortSignal) => Promise<CpuUsage>;
  /** How much memory is used. */
  memory: () => MemoryUsage;
  /** How full the file system at `/` is. */
  disk: () => Promise<DiskUsage>;
  /** Paths of the temperature sensors. */
  sensors: () => string[];
  /** The text of files in /proc and /sys, one after the other. */
  kernelFiles: (paths: string[]) => Promise<string>;
}

/** What a {@linkcode SnapshotReader} works with. */
export interface SnapshotReaderOptions {
  /** The agent's log. */
  logger: Logger;
  /** Stand in for the machine's own. */
  readers?: Partial<Readers>;
  /** A clock that only goes forward, in milliseconds. */
  now?: () => number;
  /** The wall clock. */
  wallClock?: () => Date;
}

/**
 * Measures the machine. A metric that cannot be read is left out; the log hears of it once, and once
 * more when it works again. Each value is checked against the contract before it is given out.
 */
export class SnapshotReader {
  readonly #options: Required<Omit<SnapshotReaderOptions, "readers">>;
  readonly #readers: Readers;
  readonly #failing = new Set<string>();
  #sensors: string[] = [];
  #sensorsFoundMs = -Infinity;

  /** Nothing is read yet. */
  constructor({ readers, ...options }: SnapshotReaderOptions) {
    this.#options = { now: () => performance.now(), wallClock: () => new Date(), ...options };
    const meter = new CpuMeter();
    this.#readers = {
      cpu: (signal) => meter.read(signal),
      memory: readMemory,
      disk: readDisk,
      sensors: () => findTemperatureFiles(),
      kernelFiles: readKernelFiles,
      ...readers,
    };
  }

  /**
   * Takes a snapshot. Undefined when processor, memory or disk cannot be read: the contract wants all
   * three, and a made-up value would be worse than none.
   *
   * @throws the signal's reason when it aborts.
   */
  async read(signal?: AbortSignal): Promise<MetricsSnapshot | undefined> {
    const readers = this.#readers;
    const sensors = await this.#findSensors(signal);
    const text = readers.kernelFiles([NETWORK_FILE, ...sensors]);
    const [cpu, memory, disk, networkStats, temperature] = await Promise.all([
      this.#take("cpu", Cpu, () => readers.cpu(signal), signal),
      this.#take("memory", Memory, readers.memory, signal),
      this.#take("disk", Disk, readers.disk, signal),
      this.#take("network", Network, async () => parseNetworks(await text), signal),
      sensors.length === 0 ? undefined : this.#take(
        "temperature",
        Temperature,
        async () => highestTemperature(await text),
        signal,
      ),
    ]);
    signal?.throwIfAborted();
    if (!cpu || !memory || !disk) return undefined;
    return {
      collectedAt: this.#options.wallClock().toISOString(),
      cpuUsage: cpu.usagePercent,
      memoryUsage: memory.usedPercent,
      diskUsage: disk.usedPercent,
      ...(temperature === undefined ? {} : { temperature }),
      ...(networkStats ? { networkStats } : {}),
      cpu,
      memory,
      disk,
    };
  }

  async #findSensors(signal?: AbortSignal): Promise<string[]> {
    const { now } = this.#options;
    if (now() - this.#sensorsFoundMs < FIND_SENSORS_AGAIN_MS) return this.#sensors;
    this.#sensors = await this.#take("sensors", Sensors, this.#readers.sensors, signal) ?? [];
    this.#sensorsFoundMs = now();
    return this.#sensors;
  }

  /** Reads and checks one metric; undefined, and a word in the log, when that fails. */
  async #take<T>(
    metric: Metric,
    schema: z.ZodType<T>,
    read: () => unknown,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    try {
      const value = schema.parse(await read());
      if (this.#failing.delete(metric)) {
        this.#options.logger.info("metric can be read again", { metric });
      }
      return value;
    } catch (error) {
      if (!signal?.aborted && !this.#failing.has(metric)) {
        this.#failing.add(metric);
        const fields = { metric, lost: LOST[metric], error: reasonOf(error) };
        this.#options.logger.warn("metric cannot be read", fields);
      }
      return undefined;
    }
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/** One line, also of what a schema has to say. */
function reasonOf(error: unknown): string {
  if (!(error instanceof z.ZodError)) return messageOf(error);
  return error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
}
