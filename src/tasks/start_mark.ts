import type { OutputChunk } from "../hosts/host.ts";

const MARK = "noderax-agent: begun";
const LINE = new TextEncoder().encode(`${MARK}\n`);

/** A command for a POSIX shell that says on standard error that it begins; on the same line. */
export function marked(command: string): string {
  return `echo "${MARK}" >&2; ${command}`;
}

/** Takes the line of a {@linkcode marked} command out of an output, and knows whether it came. */
export class StartMark {
  /** Whether the command has begun. */
  hasBegun = false;
  #held: Uint8Array<ArrayBufferLike> = new Uint8Array();

  /** Passes an output on without the line. */
  async *of(output: AsyncIterable<OutputChunk>): AsyncGenerator<OutputChunk, void> {
    for await (const chunk of output) {
      const bytes = chunk.stream === "stderr" && !this.hasBegun
        ? this.#without(chunk.bytes)
        : chunk.bytes;
      if (bytes.length > 0) yield { ...chunk, bytes };
    }
    if (this.#held.length > 0) yield { stream: "stderr", bytes: this.#held };
  }

  #without(bytes: Uint8Array): Uint8Array {
    const all = joined(this.#held, bytes);
    const at = startOf(all);
    this.hasBegun = at + LINE.length <= all.length;
    this.#held = this.hasBegun ? new Uint8Array() : all.slice(at);
    return this.hasBegun
      ? joined(all.subarray(0, at), all.subarray(at + LINE.length))
      : all.subarray(0, at);
  }
}

/** Where the line begins, or may begin if its end is still to come; the length if nowhere. */
function startOf(all: Uint8Array): number {
  let at = 0;
  while (
    at < all.length && !LINE.every((byte, i) => at + i >= all.length || all[at + i] === byte)
  ) {
    at++;
  }
  return at;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}
