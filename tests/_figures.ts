/** Prints a figure behind what it is a figure of. */
export function print(what: string, figure: string): void {
  // deno-lint-ignore no-console
  console.log(`${what.padEnd(50)} ${figure}`);
}

/** A duration for people. */
export function ms(value: number): string {
  return value < 1_000 ? `${value.toFixed(1)} ms` : `${(value / 1_000).toFixed(2)} s`;
}

/** The middle and the largest of some figures. */
export function spread(values: number[]): { median: number; worst: number } {
  const sorted = values.toSorted((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)] ?? NaN, worst: sorted.at(-1) ?? NaN };
}

/** Tests may not read /proc themselves. */
export async function memory(pid: number, field: "VmRSS" | "VmHWM"): Promise<string> {
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${pid}/status`] }).output();
  const line = new TextDecoder().decode(stdout).split("\n").find((text) => text.startsWith(field));
  return `${(Number.parseInt(line?.slice(field.length + 1) ?? "") / 1024).toFixed(0)} MB`;
}
