import type { OutputChunk } from "../hosts/host.ts";

const MARK = "noderax-agent: begun";
const LINE = new TextEncoder().encode(`${MARK}\n`);
const FIRST = MARK.charCodeAt(0);
const NOTHING: Uint8Array = new Uint8Array();

/** A command for a POSIX shell that says on standard error that it begins; on the same line. */
export function marked(command: string): string {
  return `echo "${MARK}" >&2; ${command}`;
}

/**
 * Takes the line of a {@linkcode marked} command out of an output, and knows whether it came: on
 * standard output where a profile has joined the streams.
 */
export class StartMark {
  /** Whether the command has begun. */
  hasBegun = false;
  readonly #held = { stdout: NOTHING, stderr: NOTHING };

  /** Passes an output on without the line. */
  async *of(output: AsyncIterable<OutputChunk>): AsyncGenerator<OutputChunk, void> {
    for await (const chunk of output) {
      const bytes = this.hasBegun ? chunk.bytes : this.#without(chunk);
      if (bytes.length > 0) yield { ...chunk, bytes };
      if (this.hasBegun) yield* this.#letGo();
    }
    yield* this.#letGo();
  }

  #without({ stream, bytes }: OutputChunk): Uint8Array {
    const all = joined(this.#held[stream], bytes);
    const at = startOf(all);
    this.hasBegun = at + LINE.length <= all.length;
    this.#held[stream] = this.hasBegun ? NOTHING : all.slice(at);
    return this.hasBegun
      ? joined(all.subarray(0, at), all.subarray(at + LINE.length))
      : all.subarray(0, at);
  }

  /** What was held because the line might have begun in it. */
  *#letGo(): Generator<OutputChunk, void> {
    for (const stream of ["stdout", "stderr"] as const) {
      const bytes = this.#held[stream];
      this.#held[stream] = NOTHING;
      if (bytes.length > 0) yield { stream, bytes };
    }
  }
}

/** Where the line begins, or may begin if its end is still to come; the length if nowhere. */
function startOf(all: Uint8Array): number {
  for (let at = all.indexOf(FIRST); at >= 0; at = all.indexOf(FIRST, at + 1)) {
    if (LINE.every((byte, i) => at + i >= all.length || all[at + i] === byte)) return at;
  }
  return all.length;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}
