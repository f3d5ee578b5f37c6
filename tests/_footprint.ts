import { outputOf } from "./_processes.ts";

/** What a process holds of the machine. */
export interface Footprint {
  descriptors: number;
  threads: number;
  /** Those of {@linkcode Footprint.threads} that the runtime has for files: 32 at most, by need. */
  poolThreads: number;
  residentMib: number;
}

/** The {@linkcode Footprint} of a living process. Tests may not read /proc themselves. */
export async function footprint(pid: number): Promise<Footprint> {
  const script = 'ls "/proc/$1/fd" | wc -l; cat "/proc/$1"/task/*/comm | grep -c ^tokio-runtime; ' +
    'cat "/proc/$1/status"';
  const [descriptors = "", poolThreads = "", ...status] =
    (await outputOf("/bin/sh", "-c", script, "sh", String(pid)))
      .split("\n");
  const field = (name: string) =>
    Number.parseInt(status.find((line) => line.startsWith(name))?.slice(name.length + 1) ?? "");
  return {
    descriptors: Number(descriptors),
    threads: field("Threads"),
    poolThreads: Number(poolThreads),
    residentMib: field("VmRSS") / 1024,
  };
}
