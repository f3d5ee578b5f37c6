import { delay } from "@std/async";
import { outputOf } from "../_processes.ts";

/** The kernel counts processor time in hundredths of a second. */
const TICK_MS = 10;
const KIB_PER_MB = 1_024;

/** What a process has resident, in MB. */
export interface Memory {
  now: number;
  /** What it shares with no file. */
  private: number;
  /** The most that it had. */
  peak: number;
}

/** The memory of a living process. */
export async function memoryOf(pid: number): Promise<Memory> {
  const status = await outputOf("cat", `/proc/${pid}/status`);
  const field = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / KIB_PER_MB;
  return { now: field("VmRSS"), private: field("RssAnon"), peak: field("VmHWM") };
}

/** The processor time of a process and of the children that it has seen to their end, in milliseconds. */
export async function processorMs(pid: number): Promise<number> {
  const stat = await outputOf("cat", `/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_MS;
}

/** The processor time of a living process alone, in milliseconds with their fractions. */
export async function exactProcessorMs(pid: number): Promise<number> {
  const threads = await outputOf("/bin/sh", "-c", `cat /proc/${pid}/task/*/schedstat`);
  const times = threads.trim().split("\n").map((thread) => Number(thread.split(" ")[0]));
  return times.reduce((sum, ns) => sum + ns, 0) / 1e6;
}

/** How much of one core processes use in a time, in percent each. */
export async function processorShares(pids: number[], forMs: number): Promise<number[]> {
  const before = await Promise.all(pids.map(processorMs));
  const startedMs = performance.now();
  await delay(forMs);
  const tookMs = performance.now() - startedMs;
  const after = await Promise.all(pids.map(processorMs));
  return after.map((ms, i) => (ms - (before[i] ?? NaN)) / tookMs * 100);
}
