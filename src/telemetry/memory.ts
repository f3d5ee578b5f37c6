/** The figures of the machine's memory that are used here, in bytes. */
export type MemoryInfo = Pick<Deno.SystemMemoryInfo, "total" | "free" | "available">;

/** Memory in the contract's words (Realtime, `agent.metrics`). */
export interface MemoryUsage {
  /** All that the kernel manages. */
  totalBytes: number;
  /** What is not available: caches that the kernel would give up do not count as used. */
  usedBytes: number;
  /** What nothing at all uses. */
  freeBytes: number;
  /** The used part of the total. */
  usedPercent: number;
  /** What a new program could have without swapping (the kernel's MemAvailable). */
  availableBytes: number;
}

/** Reads how much memory is used. */
export function readMemory(info: MemoryInfo = Deno.systemMemoryInfo()): MemoryUsage {
  const { total, free } = info;
  // In some containers the two come from different places.
  const available = Math.min(info.available, total);
  return {
    totalBytes: total,
    usedBytes: total - available,
    freeBytes: free,
    usedPercent: (total - available) / total * 100,
    availableBytes: available,
  };
}
