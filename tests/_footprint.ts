import { outputOf } from "./_processes.ts";

/** What a process holds of the machine. */
export interface Footprint {
  descriptors: number;
  threads: number;
  residentMib: number;
}

/** The {@linkcode Footprint} of a living process. Tests may not read /proc themselves. */
export async function footprint(pid: number): Promise<Footprint> {
  const script = 'ls "/proc/$1/fd" | wc -l; cat "/proc/$1/status"';
  const [descriptors = "", ...status] = (await outputOf("/bin/sh", "-c", script, "sh", String(pid)))
    .split("\n");
  const field = (name: string) =>
    Number.parseInt(status.find((line) => line.startsWith(name))?.slice(name.length + 1) ?? "");
  return {
    descriptors: Number(descriptors),
    threads: field("Threads"),
    residentMib: field("VmRSS") / 1024,
  };
}
