import { settlesWithin } from "../system/deadline.ts";
import { UserError } from "../system/user_error.ts";
import type { Launch } from "../privileges/launch.ts";

/** The console waits 10 s for an answer (contract: log.scan); in milliseconds. */
const LIMIT_MS = 8_000;
/** What a program may say of its failure. */
const MAX_SAID_BYTES = 4_096;

/** Something that the rights of its reader do not suffice for. */
export class NotPermittedError extends UserError {
  /** `said` is what the program that was to read it has to say. */
  constructor(what: string, said: string) {
    super(`${what} cannot be read: ${said}.`);
  }
}

/** What a program has printed. */
export interface Printed {
  /** Its exit code. */
  code: number;
  /** The beginning of its standard output. */
  stdout: Uint8Array;
  /** Whether there was more of it. */
  isCut: boolean;
  /** The beginning of its standard error. */
  stderr: string;
}

/** Reads with somebody's rights. */
export interface Read {
  /** So many bytes of a file from an offset on; fewer at its end. */
  file(path: string, offset: number, count: number): Promise<Uint8Array>;
  /** At most so many bytes of what a program prints; it is ended then. */
  program(argv: string[], maxBytes: number): Promise<Printed>;
}

/** Reads with the rights that `launch` gives. */
export function readAs(launch: Launch, signal: AbortSignal): Read {
  const program = (argv: string[], maxBytes: number) =>
    printed(launch({ argv }), maxBytes, AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]));
  const file = async (path: string, offset: number, count: number) => {
    if (count <= 0) return new Uint8Array();
    // Neither a link nor a pipe that comes into the file's place is followed or waited for.
    const { code, stdout, stderr } = await program([
      ...["dd", `if=${path}`, "bs=64K", "status=none"],
      "iflag=nofollow,nonblock,fullblock,skip_bytes,count_bytes",
      ...[`skip=${offset}`, `count=${count}`],
    ], count);
    if (code !== 0) throw new NotPermittedError(path, stderr || `dd ended with ${code}`);
    return stdout;
  };
  return { file, program };
}

async function printed(
  { argv: [name = "", ...args], env = {} }: ReturnType<Launch>,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Printed> {
  signal.throwIfAborted();
  const child = new Deno.Command(name, {
    args,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    // Another user's program is run in a session of its own only.
    detached: true,
  }).spawn();
  let hasEnded = false;
  const status = child.status.finally(() => hasEnded = true);
  const end = () => {
    if (!hasEnded) endGroup(child.pid);
  };
  const stop = new AbortController();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const reading = Promise.all([
    firstOf(child.stdout, maxBytes, stop.signal).then((out) => {
      if (out.isCut) end();
      return out;
    }),
    firstOf(child.stderr, MAX_SAID_BYTES, stop.signal),
    status,
  ]);
  try {
    const [out, err, { code }] = await Promise.race([reading, aborted]);
    const stderr = new TextDecoder().decode(err.bytes).trim().replaceAll(/\s+/g, " ");
    return { code, stdout: out.bytes, isCut: out.isCut, stderr };
  } catch (error) {
    end();
    stop.abort();
    reading.catch(() => {});
    if (!await settlesWithin(status, 500)) child.unref();
    if (error instanceof DOMException && error.name === "TimeoutError") {
      throw new UserError(`${name} has not ended after ${LIMIT_MS / 1_000} s.`);
    }
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function endGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch {
    // It has just left.
  }
}

async function firstOf(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
  signal: AbortSignal,
): Promise<{ bytes: Uint8Array; isCut: boolean }> {
  const reader = stream.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel, { once: true });
  const chunks: Uint8Array[] = [];
  let length = 0;
  let isCut = false;
  while (!isCut) {
    const { done, value } = await reader.read();
    if (done) break;
    const part = value.subarray(0, maxBytes - length);
    isCut = part.length < value.length;
    length += part.length;
    chunks.push(part);
  }
  if (isCut) cancel();
  signal.removeEventListener("abort", cancel);
  return { bytes: joined(chunks, length), isCut };
}

function joined(chunks: Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
