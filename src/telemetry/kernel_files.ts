import { runChild } from "../system/run_child.ts";

/** A sensor that does not answer must not stop the others for good. */
const LIMIT_MS = 5_000;

/**
 * Reads files of /proc and /sys, one after the other, in a single child: without all-access Deno may
 * not read them itself. A file that cannot be read contributes nothing.
 *
 * @throws when the child cannot be started, or gives no answer in 5 s.
 */
export function readKernelFiles(paths: readonly string[], signal?: AbortSignal): Promise<string> {
  return outputOf(["cat", "--", ...paths], signal);
}

/**
 * The standard output of a program that looks at the kernel's files, whatever its exit code.
 *
 * @throws when it cannot be started, or gives no answer in 5 s; the signal's reason when it aborts.
 */
export async function outputOf(argv: readonly string[], signal?: AbortSignal): Promise<string> {
  return (await runChild(argv, { signal, limitMs: LIMIT_MS })).stdout;
}
