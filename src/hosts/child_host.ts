import { settlesWithin } from "../system/deadline.ts";
import { judgeAfter } from "../system/stall.ts";
import { awaitTaskProcesses, endTaskProcesses, killTaskProcessesNow } from "./end_processes.ts";
import type { ChildOptions, Host, HostCommand, OutputChunk, Program } from "./host.ts";
import { type ProcessGroup, processGroupOf, TASK_ID_VARIABLE } from "./process_table.ts";
import { killGroup } from "./signal_process.ts";

/** How long a background process that keeps the output open may delay the end, in milliseconds. */
export const LINGER_MS = 2_000;
/** The largest pipe that a user may make, in bytes: no more of what was written in time can be left. */
const MAX_PIPE_BYTES = 1 << 20;
/** So much of it comes at once, if there is as much. */
const CHUNK_BYTES = 1 << 15;

const KILLED: Deno.CommandStatus = { success: false, code: 128 + 9, signal: "SIGKILL" };

/** Runs programs as children of the agent; they do not outlive it. */
export const childHost: Host = {
  start: (command) => new Promise((resolve) => resolve(startChild(command))),
  takeUp: () => Promise.resolve("gone"),
  release: () => Promise.resolve(),
  sweep: () => Promise.resolve(),
  waitFor: awaitTaskProcesses,
  end: endTaskProcesses,
  killNow: killTaskProcessesNow,
};

/**
 * When the command's signal aborts, the whole tree is ended and none of it is left: at once, or when
 * the program has left by itself because it was asked to. Otherwise background processes live on.
 */
function startChild(command: HostCommand): Program {
  const { signal, taskId, askFirst } = command;
  const child = spawnGated(command);
  const output = new ChildOutput(child);
  const stuck = Promise.withResolvers<Deno.CommandStatus>();
  let ending: Promise<number> | undefined;
  const end = () => {
    ending ??= askToLeave(child, askFirst)
      // Who cannot be asked is ended unasked.
      .catch(() => {})
      .then(() => endAll(taskId, child.group));
    // What SIGKILL cannot end (a sleep that a dead disk holds) must not hold the task as well.
    void ending.then((left) => left > 0 && stuck.resolve(KILLED));
  };
  signal.addEventListener("abort", end, { once: true });
  const exited = Promise.race([child.status, stuck.promise]);
  return {
    group: child.group,
    output,
    exited,
    ended: exited.then(async ({ code: exitCode, signal: endedBy }) => {
      output.drain();
      await output.ended;
      signal.removeEventListener("abort", end);
      return { exitCode, signal: endedBy ?? undefined, unkillable: await ending ?? 0 };
    }),
    async open() {
      if (!signal.aborted) return await child.open();
      await child.refuse();
      end();
    },
  };
}

/** Resolves when the program has left, or its time to do so is over. */
async function askToLeave(child: GatedChild, askFirst: HostCommand["askFirst"]): Promise<void> {
  if (!askFirst) return;
  await askFirst.ask(child.group);
  await settlesWithin(child.status, askFirst.graceMs);
}

async function endAll(taskId: string, group: ProcessGroup): Promise<number> {
  try {
    return await endTaskProcesses(taskId, group);
  } catch {
    // Not even a look at the processes could be started: a machine full of them, perhaps ours.
    killGroup(group);
    return await endTaskProcesses(taskId, group, 0).catch(() => 0);
  }
}

interface Pipe {
  stream: OutputChunk["stream"];
  reader: ReadableStreamBYOBReader;
  /** Read into again and again: with many tasks the garbage would be more than all they hold. */
  buffer: ArrayBufferLike;
  mayReadBytes: number;
}

const freeBuffers: ArrayBufferLike[] = [];
/** So many buffers that nobody reads into are kept for the next child. */
const KEPT_BUFFERS = 16;

/** What a child prints on both of its streams, as it comes, until their end or until it is drained. */
class ChildOutput implements AsyncIterable<OutputChunk> {
  readonly #pipes: Pipe[];
  readonly #read: { pipe: Pipe; bytes: Uint8Array | undefined; error?: unknown }[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #wake: () => void = () => {};
  #drainMs = Infinity;
  #isWaiting = false;
  #mayWaitMs = LINGER_MS;
  #cancelLimit: () => void = () => {};

  constructor(child: GatedChild) {
    this.#pipes = (["stdout", "stderr"] as const).map((stream) => ({
      stream,
      reader: child[stream].getReader({ mode: "byob" }),
      buffer: freeBuffers.pop() ?? new ArrayBuffer(CHUNK_BYTES),
      mayReadBytes: MAX_PIPE_BYTES,
    }));
  }

  /** Resolves when nothing is read any more. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /**
   * The program has ended. What it has written is read, however long it takes to be stored; others
   * that hold the streams open are waited for, but for 2 s in all.
   */
  drain(): void {
    this.#drainMs = performance.now();
    if (this.#isWaiting) this.#limitWait();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<OutputChunk, void> {
    try {
      for (const pipe of this.#pipes) this.#readFrom(pipe);
      for (let open = this.#pipes.length; open > 0;) {
        const { pipe, bytes, error } = await this.#next();
        if (error !== undefined) throw error;
        if (!bytes) {
          open--;
          continue;
        }
        yield { stream: pipe.stream, bytes };
        pipe.buffer = bytes.buffer;
        if (performance.now() > this.#drainMs + LINGER_MS) {
          // Less than it could have been is what somebody goes on writing, never ending perhaps.
          pipe.mayReadBytes -= Math.max(bytes.length, CHUNK_BYTES);
        }
        if (pipe.mayReadBytes <= 0) cancel(pipe);
        this.#readFrom(pipe);
      }
    } finally {
      this.#pipes.forEach(cancel);
      this.#ended.resolve();
    }
  }

  /** One read at a time for each pipe: who prints faster than it is stored has to wait. */
  #readFrom(pipe: Pipe): void {
    const note = (bytes: Uint8Array | undefined, error?: unknown) => {
      this.#read.push({ pipe, bytes, error });
      this.#wake();
    };
    pipe.reader.read(new Uint8Array(pipe.buffer)).then(
      ({ done, value }) => {
        if (done && value && freeBuffers.length < KEPT_BUFFERS) freeBuffers.push(value.buffer);
        note(done ? undefined : value);
      },
      (error) => note(undefined, error),
    );
  }

  async #next(): Promise<{ pipe: Pipe; bytes: Uint8Array | undefined; error?: unknown }> {
    for (;;) {
      const next = this.#read.shift();
      if (next) return next;
      const startMs = performance.now();
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      this.#isWaiting = true;
      if (this.#drainMs < Infinity) this.#limitWait();
      await promise;
      this.#isWaiting = false;
      this.#cancelLimit();
      this.#mayWaitMs -= Math.max(0, performance.now() - Math.max(startMs, this.#drainMs));
    }
  }

  #limitWait(): void {
    this.#cancelLimit = judgeAfter(
      Math.max(0, this.#mayWaitMs),
      () => this.#pipes.forEach(cancel),
    );
  }
}

function cancel({ reader }: Pipe): void {
  reader.cancel().catch(() => {
    // It has failed by itself.
  });
}

/**
 * A child that does not run its program before {@linkcode GatedChild.open}. It leads a session of
 * its own: who shares the agent's could type into the terminal that the agent was started on.
 */
export interface GatedChild {
  /** Names the child's group for as long as the machine runs. */
  group: ProcessGroup;
  /** Lets the program begin. */
  open(): Promise<void>;
  /** Ends the child without running its program, if it has not begun. */
  refuse(): Promise<void>;
  /** Its standard output. */
  stdout: ReadableStream<Uint8Array>;
  /** Its standard error. */
  stderr: ReadableStream<Uint8Array>;
  /** Resolves when the leader has ended, however long others hold its output. */
  status: Promise<Deno.CommandStatus>;
}

/**
 * Waits for a line: so the agent can write down what it is about to start before it starts. If the
 * agent dies first, standard input ends and nothing is run.
 */
const GATE = `
read -r AGENT_GATE || exit 125
unset AGENT_GATE
exec "$@" </dev/null`;

/** By its path: a command's own search path must not choose what runs before it. */
const SETSID = "/usr/bin/setsid";

/**
 * Starts a child behind its gate.
 *
 * @throws what `Deno.Command` throws when the child cannot be started at all.
 */
export function spawnGated(options: ChildOptions): GatedChild {
  const child = spawnLeader(["/bin/sh", "-c", GATE, "sh", ...options.argv], {
    ...options.env,
    [TASK_ID_VARIABLE]: options.taskId,
  });
  return {
    group: groupOf(child),
    open: () => openGate(child.stdin),
    refuse: () => child.stdin.close().catch(() => {}),
    stdout: child.stdout,
    stderr: child.stderr,
    status: child.status,
  };
}

/** A child that has not been waited for yet has its id for itself, even if it has ended. */
function groupOf(child: Deno.ChildProcess): ProcessGroup {
  try {
    return processGroupOf(child.pid);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

/**
 * Starts a leader of a session. To become one before its program begins (`detached`) it has to be a
 * copy of the agent, whose memory is mapped anew while all else stands still: 2 to 10 ms.
 */
function spawnLeader(argv: readonly string[], env: Record<string, string>): Deno.ChildProcess {
  const [program = "", ...args] = argv;
  const options = { env, stdin: "piped", stdout: "piped", stderr: "piped" } as const;
  try {
    return new Deno.Command(SETSID, { args: [...argv], ...options }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return new Deno.Command(program, { args, ...options, detached: true }).spawn();
  }
}

async function openGate(stdin: WritableStream<Uint8Array>): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode("\n"));
    await writer.close();
  } catch {
    // The child was ended while it waited; its status says so.
  }
}
