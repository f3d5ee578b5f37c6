import type { Usage } from "./host.ts";

/** What was used, as far as somebody has counted it; "" where nobody has. */
export function usageText(
  { cpuMs, memoryBytes, pids }: Partial<Record<keyof Usage, number | undefined>>,
): string {
  const parts = [
    cpuMs === undefined ? undefined : `${(cpuMs / 1_000).toFixed(1)} s of CPU time`,
    memoryBytes === undefined ? undefined : `at most ${Math.ceil(memoryBytes / 2 ** 20)} MiB`,
    pids === undefined ? undefined : `at most ${pids} ${pids === 1 ? "process" : "processes"}`,
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}
