import { settlesWithin } from "./deadline.ts";
import { UserError } from "./user_error.ts";

/** How long a child may take unless told, in milliseconds. */
export const CHILD_LIMIT_MS = 10_000;
/** What is killed leaves within this time, in milliseconds, unless a dead disk holds it. */
const LEAVE_MS = 500;

/** How a child is run. */
export interface RunChildOptions {
  /** Additional environment. */
  env?: Record<string, string> | undefined;
  /** Ends it. */
  signal?: AbortSignal | undefined;
  /** How long it may take, in milliseconds; {@linkcode CHILD_LIMIT_MS} by default. */
  limitMs?: number | undefined;
}

/** What has come of a child. */
export interface ChildEnd {
  /** Its exit code; 128 + n after signal n. */
  code: number;
  /** Its standard output. */
  stdout: string;
  /** Its standard error. */
  stderr: string;
}

/** A child that took too long. */
export class NoAnswerError extends UserError {}

/**
 * Runs a program of the machine to its end: the one way in which the agent starts what it waits for.
 * (What runs for an operator goes through `runProcess`, which finds all that has come of it.) The
 * child leads a session of its own, has nothing to read, and is killed with its group when it is not
 * wanted any more; it is not waited for then, as not even SIGKILL ends what a dead disk holds.
 *
 * @throws the signal's reason; {@linkcode NoAnswerError} at the limit; what the spawn throws.
 */
export async function runChild(
  [program = "", ...args]: readonly string[],
  { env = {}, signal, limitMs = CHILD_LIMIT_MS }: RunChildOptions = {},
): Promise<ChildEnd> {
  signal?.throwIfAborted();
  const child = new Deno.Command(program, {
    args,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  let hasEnded = false;
  const status = child.status.finally(() => hasEnded = true);
  const readers = [child.stdout.getReader(), child.stderr.getReader()] as const;
  const [stdout, stderr] = readers;
  const given = Promise.withResolvers<never>();
  const onAbort = () => given.reject(signal?.reason);
  const timer = setTimeout(() => {
    const seconds = Math.ceil(limitMs / 100) / 10;
    given.reject(new NoAnswerError(`\`${program}\` has not ended after ${seconds} s.`));
  }, limitMs);
  signal?.addEventListener("abort", onAbort, { once: true });
  const end = Promise.all([status, textOf(stdout), textOf(stderr)]);
  try {
    const [{ code }, out, err] = await Promise.race([end, given.promise]);
    return { code, stdout: out, stderr: err };
  } catch (error) {
    // Of a child that has ended, and only its output is held open, the id may be another's by now.
    if (!hasEnded) await kill(child, status);
    for (const reader of readers) reader.cancel().catch(() => {});
    end.catch(() => {});
    child.unref();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Kills a child with its group, and gives it a moment to leave. */
async function kill({ pid }: Deno.ChildProcess, status: Promise<unknown>): Promise<void> {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch {
    // It has just left.
  }
  await settlesWithin(status, LEAVE_MS);
}

async function textOf(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
  }
}
