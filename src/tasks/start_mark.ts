import type { OutputChunk } from "../hosts/host.ts";

const MARK = "noderax-agent: begun";
const FIRST = MARK.charCodeAt(0);
const NOTHING: Uint8Array = new Uint8Array();

/** The line with which the command of a task says that it begins: nobody else prints the same. */
export function startLine(taskId: string): string {
  return `${MARK} ${taskId.replaceAll(/[^\w-]/g, "")}`;
}

/** A command for a POSIX shell that says on standard error that it begins; on the same line. */
export function marked(command: string, line: string): string {
  return `echo "${line}" >&2; ${command}`;
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
  readonly #held = { stdout: NOTHING, stderr: NOTHING };
  #isKept = false;

  /** `line` is what the command says when it begins. */
  constructor(line: string) {
    this.#line = new TextEncoder().encode(`${line}\n`);
  }

  /** Passes an output on without the line. */
  async *of(output: AsyncIterable<OutputChunk>): AsyncGenerator<OutputChunk, void> {
    for await (const chunk of output) {
      if (chunk.isKept) {
        this.#isKept = true;
        if (!this.hasBegun) this.#without(chunk);
        yield chunk;
        continue;
      }
      const bytes = this.hasBegun ? chunk.bytes : this.#without(chunk);
      if (bytes.length > 0) yield { ...chunk, bytes };
      if (this.hasBegun) yield* this.#letGo();
    }
    yield* this.#letGo();
  }

  #without({ stream, bytes }: OutputChunk): Uint8Array {
    const all = joined(this.#held[stream], bytes);
    const at = this.#startIn(all);
    this.hasBegun = at + this.#line.length <= all.length;
    this.#held[stream] = this.hasBegun ? NOTHING : all.slice(at);
    return this.hasBegun
      ? joined(all.subarray(0, at), all.subarray(at + this.#line.length))
      : all.subarray(0, at);
  }

  /** Where the line begins, or may begin if its end is still to come; the length if nowhere. */
  #startIn(all: Uint8Array): number {
    for (let at = all.indexOf(FIRST); at >= 0; at = all.indexOf(FIRST, at + 1)) {
      if (this.#line.every((byte, i) => at + i >= all.length || all[at + i] === byte)) return at;
    }
    return all.length;
  }

  /** What was held because the line might have begun in it. */
  *#letGo(): Generator<OutputChunk, void> {
    if (this.#isKept) return;
    for (const stream of ["stdout", "stderr"] as const) {
      const bytes = this.#held[stream];
      this.#held[stream] = NOTHING;
      if (bytes.length > 0) yield { stream, bytes };
    }
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}
