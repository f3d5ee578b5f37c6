import assert from "node:assert/strict";
import { join } from "@std/path";
import { agentCommand } from "./_command.ts";

/** What a command has said and how it has ended. */
export interface Said {
  code: number;
  stdout: string;
  stderr: string;
}

/** Maps the caller to another user id, whose reach is the caller's own. */
const mapped = (uid: number) => ["unshare", "-U", `--map-user=${uid}`, `--map-group=${uid}`];

/** Whether a desk can have another user at its keyboard; tests that need one are ignored otherwise. */
export const CAN_BE_MAPPED: boolean = await (async () => {
  const [program = "", ...args] = mapped(1);
  return (await new Deno.Command(program, { args: [...args, "true"] }).output()).success;
})().catch(() => false);

/** What the name of such a test ends with. */
export const NEEDS_MAPPING: string = CAN_BE_MAPPED
  ? ""
  : " (ignored: no other user can be mapped here)";

/** A folder with a configuration file, and tools of the machine that are made up. */
export class Desk implements AsyncDisposable {
  /** Who is at the keyboard; undefined: whoever runs the tests. */
  user: "root" | "another" | undefined;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async set(): Promise<Desk> {
    return new Desk(await Deno.makeTempDir({ prefix: "cli_" }));
  }

  /** The path of a file of the folder. */
  file(name: string): string {
    return join(this.#folder, name);
  }

  /** Writes a file of the folder. */
  async write(name: string, content: unknown): Promise<string> {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    await Deno.writeTextFile(this.file(name), text);
    return this.file(name);
  }

  /** Puts a tool before those of the machine; its script may use `$here`, the folder. */
  async tool(name: string, script: string): Promise<void> {
    await this.write(name, `#!/bin/sh\nhere=$(dirname "$0")\n${script}\n`);
    await Deno.chmod(this.file(name), 0o755);
  }

  /** The agent's program, about to be started. */
  command(args: string[], env: Record<string, string> = {}): Deno.Command {
    const path = `${this.#folder}:${Deno.env.get("PATH")}`;
    const isOther = this.user !== undefined && (this.user === "root") !== (Deno.uid() === 0);
    return agentCommand(args, {
      through: isOther ? mapped(this.user === "root" ? 0 : 1000) : [],
      env: { NODERAX_CONFIG_FILE: this.file("config.json"), PATH: path, ...env },
    });
  }

  /** Runs one command; none may show a stack trace or colours where there is no terminal. */
  async says(args: string[], env: Record<string, string> = {}): Promise<Said> {
    const { code, ...output } = await this.command(args, env).output();
    const decoder = new TextDecoder();
    const stdout = decoder.decode(output.stdout);
    // Deno's own word on the file that names the permissions.
    const stderr = decoder.decode(output.stderr).replace(/^.*experimental.*\n/m, "");
    const said = JSON.stringify({ args, code, stdout, stderr });
    assert.doesNotMatch(stdout + stderr, /^ +at |unexpected error/m, said);
    // deno-lint-ignore no-control-regex -- the sequences of colours begin with it
    assert.doesNotMatch(stdout + stderr, /\x1b/, said);
    return { code, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}
