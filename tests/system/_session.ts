import { eventually, PATIENCE_MS } from "../_processes.ts";
import type { Machine } from "./_machine.ts";

/** A person at a terminal of the machine: a root shell, what it shows, and what is typed. */
export class Session implements AsyncDisposable {
  readonly #machine: Machine;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #read: Promise<void>;
  #shown = "";
  #seen = 0;

  /** Opens one. */
  constructor(machine: Machine) {
    this.#machine = machine;
    const env = { TERM: "dumb", NO_COLOR: "1", PS1: "# ", ENV: "" };
    // The terminal is one of the machine's own.
    const script = ["script", "--quiet", "--return", "--command", "cd; sh -i", "/dev/null"];
    this.#child = machine.spawn(script, { env, stdin: "piped" });
    this.#writer = this.#child.stdin.getWriter();
    this.#read = this.#follow();
  }

  /** Everything on the screen so far; of a line that was written anew, the last. */
  get text(): string {
    const lines = this.#shown.replaceAll("\r\n", "\n").split("\n");
    return lines.map((line) => line.slice(line.lastIndexOf("\r") + 1).replace("\x1b[K", ""))
      .join("\n");
  }

  /** Waits for a text that was not waited for before; for the shell's prompt by default. */
  async sees(wanted: RegExp = /^# $/m, limitMs = PATIENCE_MS): Promise<void> {
    const look = () => Promise.resolve(wanted.exec(this.text.slice(this.#seen)));
    const story = () => Promise.resolve(this.text);
    const found = await eventually(`${wanted} on the screen`, look, limitMs, story);
    this.#seen += found.index + found[0].length;
  }

  /** Types a line. */
  async types(line: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
  }

  /** Leaves the shell; gives the exit code of the last command. */
  async leaves(): Promise<number> {
    await this.types("exit");
    const { code } = await this.#child.status;
    await this.#read;
    return code;
  }

  /** Closes the terminal, whatever runs on it: it would not hear of the end of what is typed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#machine.run("pkill", "-KILL", "-x", "script");
    await this.#writer.close().catch(() => {});
    await this.#child.status;
    await this.#read;
  }

  async #follow(): Promise<void> {
    const errors = this.#child.stderr.pipeTo(new WritableStream());
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      this.#shown += text;
    }
    await errors;
  }
}
