import type { OutputChunk } from "../hosts/host.ts";

const MARK = "noderax-agent: begun";
const FIRST = MARK.charCodeAt(0);
const NOTHING: Begun = { bytes: new Uint8Array(), held: 0 };

/** The line with which the command of a task says that it begins: nobody else prints the same. */
export function startLine(taskId: string): string {
  return `${MARK} ${taskId.replaceAll(/[^\w-]/g, "")}`;
}

/** A command for a POSIX shell that says on standard error that it begins; on the same line. */
export function marked(command: string, line: string): string {
  return `echo "${line}" >&2; ${command}`;
}

/** What has come of a stream that may be the beginning of the line. */
interface Begun {
  bytes: Uint8Array;
  /** How many of them, at the end, are held back: the others are passed on. */
  held: number;
}

/**
 * Takes the line of a {@linkcode marked} command out of an output, and knows whether it came: on
 * standard output where a profile has joined the streams. What is kept already is passed on with
 * the line: the task's log leaves it out.
 */
export class StartMark {
  /** Whether the command has begun. */
  hasBegun = false;
  readonly #line: Uint8Array;
  readonly #begun: Record<OutputChunk["stream"], Begun> = { stdout: NOTHING, stderr: NOTHING };

  /** `line` is what the command says when it begins. */
  constructor(line: string) {
    this.#line = new TextEncoder().encode(`${line}\n`);
  }

  /** Passes an output on without the line. */
  async *of(output: AsyncIterable<OutputChunk>): AsyncGenerator<OutputChunk, void> {
    for await (const chunk of output) {
      // What comes behind it is in the log already, and the line with that.
      if (chunk.isKept) yield* this.#letGo(chunk.stream);
      const bytes = this.hasBegun ? chunk.bytes : this.#without(chunk);
      if (chunk.isKept) yield chunk;
      else if (bytes.length > 0) yield { ...chunk, bytes };
      if (this.hasBegun) yield* this.#letGo("stdout", "stderr");
    }
    yield* this.#letGo("stdout", "stderr");
  }

  #without({ stream, bytes, isKept }: OutputChunk): Uint8Array {
    const begun = this.#begun[stream];
    const all = joined(begun.bytes, bytes);
    const passed = isKept ? all.length : begun.bytes.length - begun.held;
    const at = this.#startIn(all);
    this.hasBegun = at + this.#line.length <= all.length;
    if (!this.hasBegun) {
      const heldFrom = Math.max(at, passed);
      this.#begun[stream] = { bytes: all.slice(at), held: all.length - heldFrom };
      return all.subarray(passed, heldFrom);
    }
    this.#begun[stream] = NOTHING;
    // Of a line that has gone on in part, the log leaves out the whole.
    if (at < passed) return all.subarray(passed);
    return joined(all.subarray(passed, at), all.subarray(at + this.#line.length));
  }

  /** Where the line begins, or may begin if its end is still to come; the length if nowhere. */
  #startIn(all: Uint8Array): number {
    for (let at = all.indexOf(FIRST); at >= 0; at = all.indexOf(FIRST, at + 1)) {
      if (this.#line.every((byte, i) => at + i >= all.length || all[at + i] === byte)) return at;
    }
    return all.length;
  }

  /** What was held because the line might have begun in it. */
  *#letGo(...streams: OutputChunk["stream"][]): Generator<OutputChunk, void> {
    for (const stream of streams) {
      const { bytes, held } = this.#begun[stream];
      this.#begun[stream] = { bytes, held: 0 };
      if (held > 0) yield { stream, bytes: bytes.subarray(bytes.length - held) };
    }
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}
