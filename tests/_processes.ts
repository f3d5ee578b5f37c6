import { delay } from "@std/async";
import { PATIENCE_MS } from "../scripts/dev/_ledger.ts";

export { PATIENCE_MS };

/** A machine that was stopped for a while comes back late, but has not looked. */
const MIN_LOOKS = 100;

/** The output of a small program; what may not be read directly is read by a child. */
export async function outputOf(program: string, ...args: string[]): Promise<string> {
  const options = { args, stdin: "null", stdout: "piped", stderr: "null" } as const;
  const { stdout } = await new Deno.Command(program, options).output();
  return new TextDecoder().decode(stdout);
}

/** The paths of all files in a folder and those below it. */
export async function filesIn(folder: string): Promise<string[]> {
  return (await outputOf("find", folder, "-type", "f", "-printf", "%P\\n")).trim().split("\n")
    .sort();
}

/** The living processes (zombies left out) whose environment holds `NAME=value`. */
export async function livingWith(mark: string): Promise<number[]> {
  const script = 'grep -lsF -e "$1" /proc/[0-9]*/environ | cut -d/ -f3 | while read -r pid; do ' +
    'grep -qs "^State:.[^ZX]" "/proc/$pid/status" && echo "$pid"; done';
  const pids = (await outputOf("/bin/sh", "-c", script, "sh", mark)).split("\n");
  return pids.filter((pid) => pid !== "").map(Number);
}

/** The most memory that a living process has had resident, in MiB. */
export async function peakMemoryMib(pid: number): Promise<number> {
  const status = await outputOf("cat", `/proc/${pid}/status`);
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

/**
 * Looks again and again until `look` gives something; for what announces itself to nobody. `story`
 * is asked in vain only: what there is to know about why it did not come.
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T>,
  limitMs = PATIENCE_MS,
  story: () => Promise<string> = () => Promise.resolve(""),
): Promise<NonNullable<T>> {
  const endMs = performance.now() + limitMs;
  for (let looks = 0; looks < MIN_LOOKS || performance.now() < endMs; looks++) {
    const found = await look();
    if (found) return found;
    await delay(25);
  }
  throw new Error(`waited ${limitMs} ms in vain for ${what}\n${await story()}`.trimEnd());
}

/** The text of a file, "" while there is none. */
export async function textOf(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => "");
}

/** Ends a process, which may have left by itself in the meantime. */
export function killIfThere(pid: number, signal: Deno.Signal = "SIGKILL"): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
