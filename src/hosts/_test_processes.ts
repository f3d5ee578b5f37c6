/** Whether a process lives; one that has ended and waits for its parent to notice does not. */
export async function isAlive(pid: number): Promise<boolean> {
  // Deno itself may not read /proc, see process_table.ts.
  const { stdout } = await new Deno.Command("/bin/sh", {
    args: ["-c", 'cat "/proc/$1/stat" 2>/dev/null', "sh", String(pid)],
  }).output();
  const stat = new TextDecoder().decode(stdout);
  const state = stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
  return state !== "" && state !== "Z" && state !== "X";
}

/** Gives others their turn until `condition` holds. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  limitMs = 150_000,
): Promise<void> {
  const end = performance.now() + limitMs;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`it did not come about within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Reads a file that a process of the test writes; "" while it is not there. */
export function readIfThere(path: string): Promise<string> {
  return Deno.readTextFile(path).catch(() => "");
}
