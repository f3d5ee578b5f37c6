import type { OutputChunk } from "../hosts/host.ts";

const MARK = "noderax-agent: begun";
const NEWLINE = 10;
/** So much of the end of standard error is looked at for the reason of a failure. */
const MAX_STDERR_BYTES = 16 * 1024;

/** The line with which the command of a task says that it begins: nobody else prints the same. */
export function startLine(taskId: string): string {
  return `${MARK} ${taskId.replaceAll(/[^\w-]/g, "")}`;
}

/** A command for a POSIX shell that says on standard error that it begins; on the same line. */
export function marked(command: string, line: string): string {
  return `echo "${line}" >&2; ${command}`;
}

/** What the output of a command tells of it, looked at as it passes. */
export class CommandOutput {
  /** Whether it said that it begins: on standard output where a profile has joined the streams. */
  hasBegun = false;
  readonly #line: Uint8Array;
  readonly #ends = { stdout: new Uint8Array(), stderr: new Uint8Array() };

  /** `line` is what a {@linkcode marked} command says. */
  constructor(line: string) {
    this.#line = new TextEncoder().encode(`${line}\n`);
  }

  /** The end of what it has said on standard error. */
  get stderr(): string {
    return new TextDecoder().decode(this.#ends.stderr);
  }

  /** Looks at what comes next; true if that is the line, and nothing else. */
  see({ stream, bytes }: OutputChunk): boolean {
    if (this.hasBegun && stream === "stdout") return false;
    const before = this.#ends[stream];
    const all = new Uint8Array(before.length + bytes.length);
    all.set(before);
    all.set(bytes, before.length);
    const hadBegun = this.hasBegun;
    // What ends in what came before was looked at then.
    this.hasBegun ||= this.#isIn(all, before.length);
    this.#ends[stream] = all.slice(stream === "stderr" ? -MAX_STDERR_BYTES : -this.#line.length);
    return !hadBegun && this.hasBegun && bytes.length === this.#line.length && before.length === 0;
  }

  #isIn(all: Uint8Array, from: number): boolean {
    const { length } = this.#line;
    for (let at = from; (at = all.indexOf(NEWLINE, at) + 1) > 0;) {
      const start = at - length;
      if (start >= 0 && this.#line.every((byte, i) => all[start + i] === byte)) return true;
    }
    return false;
  }
}
