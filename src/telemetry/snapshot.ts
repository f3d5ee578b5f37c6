import { z } from "@zod/zod";
import type { Logger } from "../system/logger.ts";
import { CpuMeter } from "./cpu.ts";
import { readDisk } from "./disk.ts";
import { readKernelFiles } from "./kernel_files.ts";
import { readMemory } from "./memory.ts";
import { NETWORK_FILE, parseNetworks } from "./network.ts";
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
  networks: z.array(z.object({
    interface: z.string(),
    bytesSent: count,
    bytesRecv: count,
    packetsSent: count,
    packetsRecv: count,
    errorsIn: count,
    errorsOut: count,
    dropIn: count,
    dropOut: count,
  })),
  networkStats: z.object({ rxBytes: count, txBytes: count, rxPackets: count, txPackets: count }),
});
const Temperature = z.number().transform(rounded);

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
} & Partial<z.infer<typeof Network>>;

/** What reads the single metrics. */
export interface Readers {
  /** Usage of all cores since the call before. */
  cpu: (signal?: AbortSignal) => Promise<z.input<typeof Cpu>>;
  memory: () => z.input<typeof Memory>;
  disk: () => Promise<z.input<typeof Disk>>;
  /** Paths of the temperature sensors. */
  sensors: (signal?: AbortSignal) => Promise<string[]>;
  /** The text of files in /proc and /sys, one after the other. */
  kernelFiles: (paths: string[], signal?: AbortSignal) => Promise<string>;
}

/** What a {@linkcode SnapshotReader} works with. */
export interface SnapshotReaderOptions {
  /** The agent's log. */
  logger: Logger;
  /** Stand in for the machine's own. */
  readers?: Partial<Readers>;
  /** A clock that only goes forward, in milliseconds. */
  now?: () => number;
}

/**
 * Measures the machine. A metric that cannot be read is left out, and the log hears of it once, and
 * once more when it works again. Each value is checked against the contract before it is given out.
 */
export class SnapshotReader {
  readonly #logger: Logger;
  readonly #readers: Readers;
  readonly #now: () => number;
  readonly #failing = new Set<string>();
  #sensors: string[] = [];
  #sensorsFoundMs = -Infinity;

  /** Nothing is read yet. */
  constructor({ logger, readers, now = () => performance.now() }: SnapshotReaderOptions) {
    this.#logger = logger;
    this.#now = now;
    const meter = new CpuMeter();
    this.#readers = {
      cpu: (signal) => meter.read(signal),
      memory: readMemory,
      disk: readDisk,
      sensors: findTemperatureFiles,
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
    const { cpu: readCpu, memory: readMemory, disk: readDisk } = this.#readers;
    const files = this.#kernelFiles(signal);
    const [cpu, memory, disk, network, temperature] = await Promise.all([
      this.#take("cpu", Cpu, () => readCpu(signal)),
      this.#take("memory", Memory, readMemory),
      this.#take("disk", Disk, readDisk),
      this.#take("network", Network, async () => parseNetworks(await files)),
      this.#take("temperature", Temperature.optional(), async () => highestTemperature(await files)),
    ]);
    signal?.throwIfAborted();
    if (!cpu || !memory || !disk) return undefined;
    return {
      collectedAt: new Date().toISOString(),
      cpuUsage: cpu.usagePercent,
      memoryUsage: memory.usedPercent,
      diskUsage: disk.usedPercent,
      ...(temperature === undefined ? {} : { temperature }),
      ...network,
      cpu,
      memory,
      disk,
    };
  }
}
