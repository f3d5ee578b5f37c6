import { isTimeout, settlesWithin, within } from "./deadline.ts";
import { UserError } from "./user_error.ts";

/** How long a child may take unless told, in milliseconds. */
export const CHILD_LIMIT_MS = 10_000;
/** Of what a child says on standard error no more is kept, in bytes. */
const MAX_STDERR_BYTES = 1024 * 1024;
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
  /**
   * Whether it starts nothing itself, and needs no session: to be made the leader of one it would have
   * to be a copy of the agent, 2 to 10 ms for which all else stands still.
   */
  isAlone?: boolean | undefined;
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

/** What has come of a child whose output is limited. */
export interface ChildStart {
  /** Its exit code; 128 + n after signal n. */
  code: number;
  /** The beginning of its standard output. */
  stdout: Uint8Array;
  /** Whether there was more of it: the child was ended then. */
  isCut: boolean;
  /** Its standard error. */
  stderr: string;
}

/** A child that took too long. */
export class ChildLateError extends UserError {}

/** {@linkcode runChildFor} all of its standard output, as text. */
export async function runChild(
  argv: readonly string[],
  options: RunChildOptions = {},
): Promise<ChildEnd> {
  const { code, stdout, stderr } = await runChildFor(Infinity, argv, options);
  return { code, stdout: new TextDecoder().decode(stdout), stderr };
}

/**
 * Runs a program of the machine to its end, or until it has printed more than `maxBytes`: the one
 * way in which the agent starts what it waits for. (What runs for an operator goes through
 * a `Host`, which finds all that has come of it.) The child leads a session of its own, has
 * nothing to read, and is killed with its group when it is not wanted any more; it is not waited for
 * then, as not even SIGKILL ends what a dead disk holds.
 *
 * @throws the signal's reason; {@linkcode ChildLateError} at the limit; what the spawn throws.
 */
export async function runChildFor(
  maxBytes: number,
  [program = "", ...args]: readonly string[],
  { env = {}, signal, limitMs = CHILD_LIMIT_MS, isAlone = false }: RunChildOptions = {},
): Promise<ChildStart> {
  signal?.throwIfAborted();
  const child = new Deno.Command(program, {
    args,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: !isAlone,
  }).spawn();
  let hasEnded = false;
  const status = child.status.finally(() => hasEnded = true);
  const readers = [child.stdout.getReader(), child.stderr.getReader()] as const;
  const [stdout, stderr] = readers;
  // Of a child that has ended, and only its output is held open, the id may be another's by now.
  const kill = () => hasEnded || killIfThere(isAlone ? child.pid : -child.pid);
  const end = Promise.all([
    status,
    startOf(stdout, maxBytes, () => {
      kill();
      stdout.cancel().catch(() => {});
    }),
    startOf(stderr, MAX_STDERR_BYTES),
  ]);
  try {
    const [{ code }, out, err] = await within(end, limitMs, signal);
    return {
      code,
      stdout: out.bytes,
      isCut: out.isCut,
      stderr: new TextDecoder().decode(err.bytes),
    };
  } catch (error) {
    if (!hasEnded) {
      kill();
      await settlesWithin(status, LEAVE_MS);
    }
    for (const reader of readers) reader.cancel().catch(() => {});
    end.catch(() => {});
    child.unref();
    if (signal?.aborted || !isTimeout(error)) throw error;
    const seconds = Math.ceil(limitMs / 100) / 10;
    throw new ChildLateError(`\`${program}\` has not ended after ${seconds} s.`);
  }
}

/** Kills a child; with its group, if its id is negative. */
function killIfThere(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It has just left.
  }
}

/** The first bytes of a stream, which is read to its end; `onCut` is called when there are more. */
async function startOf(
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
  maxBytes: number,
  onCut: () => void = () => {},
): Promise<{ bytes: Uint8Array; isCut: boolean }> {
  const kept: Uint8Array<ArrayBuffer>[] = [];
  let roomBytes = maxBytes;
  let isCut = false;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { bytes: await new Blob(kept).bytes(), isCut };
    if (value.length > roomBytes && !isCut) {
      isCut = true;
      onCut();
    }
    const part = value.subarray(0, roomBytes);
    roomBytes -= part.length;
    if (part.length > 0) kept.push(part);
  }
}
