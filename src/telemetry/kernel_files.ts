/** A sensor that does not answer must not stop the others for good. */
const TIMEOUT_MS = 5_000;

/**
 * Reads files of /proc and /sys, one after the other, in a single child: without all-access Deno may
 * not read them itself. A file that cannot be read contributes nothing.
 *
 * @throws when the child cannot be started, or gives no answer in 5 s.
 */
export function readKernelFiles(paths: readonly string[], signal?: AbortSignal): Promise<string> {
  return outputOf("cat", ["--", ...paths], signal);
}

/**
 * Runs a short-lived program and returns its standard output, whatever its exit code.
 *
 * @throws when it cannot be started, or has not ended after `timeoutMs`; the signal's reason when it aborts.
 */
export async function outputOf(
  program: string,
  args: string[],
  signal?: AbortSignal,
  timeoutMs = TIMEOUT_MS,
): Promise<string> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  try {
    const child = new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
      signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal,
    });
    const { stdout } = await child.output();
    signal?.throwIfAborted();
    if (late.signal.aborted) throw new Error(`${program} gave no answer in ${timeoutMs} ms`);
    return new TextDecoder().decode(stdout);
  } finally {
    clearTimeout(timer);
  }
}
