import type { TerminalEvent } from "../realtime/inbox.ts";
import { asAgent, type Launch } from "../privileges/launch.ts";
import { Logger } from "../system/logger.ts";
import { FakeLink, type FakeLinkOptions } from "./_fake_link.ts";
import { TerminalManager, type TerminalManagerOptions } from "./manager.ts";

/** A manager with a server and an operator, for tests. */
export class Harness implements AsyncDisposable {
  /** The server. */
  readonly link: FakeLink;
  /** What is tested. */
  readonly manager: TerminalManager;
  /** The lines of the log. */
  readonly log: string[] = [];
  /** Shells start here: nobody's own settings change what the tests see. */
  readonly #home = Deno.makeTempDirSync();

  /**
   * Makes one; `env` is what the agent's environment would hold besides. The environment of the
   * process itself is left alone: tests that run beside this one have the same.
   */
  constructor(
    link: FakeLinkOptions = {},
    options: Partial<TerminalManagerOptions> = {},
    env: Record<string, string> = {},
  ) {
    this.link = new FakeLink(link);
    const logger = new Logger({ write: (line) => this.log.push(line) });
    const inherited = { HOME: this.#home, ...env };
    const launch: Launch = (command) =>
      asAgent({ ...command, env: { ...inherited, ...command.env } });
    const defaults = { link: this.link, logger, launch: () => launch };
    this.manager = new TerminalManager({ ...defaults, ...options });
  }

  /** Asks for a terminal. */
  start(sessionId: string = crypto.randomUUID(), fields: Record<string, unknown> = {}): string {
    this.send("terminal.start", sessionId, { cols: 0, rows: 0, runAsRoot: false, ...fields });
    return sessionId;
  }

  /** Asks for a terminal and waits for its shell to be ready for a command. */
  async open(fields: Record<string, unknown> = {}): Promise<string> {
    const sessionId = this.start(undefined, fields);
    await this.link.until(() => /[#$>] /.test(this.link.text(sessionId)), "a prompt");
    return sessionId;
  }

  /** Types text, or sends bytes. */
  type(sessionId: string, input: string | Uint8Array): void {
    const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
    this.send("terminal.input", sessionId, { payload: bytes.toBase64() });
  }

  /** Waits for text in the output; returns all of it. */
  async see(sessionId: string, text: string | RegExp): Promise<string> {
    const seen = () => {
      const all = this.link.text(sessionId);
      return typeof text === "string" ? all.includes(text) : text.test(all);
    };
    await this.link.until(seen, `${text} in ${this.link.text(sessionId).slice(-500)}`);
    return this.link.text(sessionId);
  }

  /** Waits for an event and returns its payload. */
  async event(sessionId: string, event: string): Promise<Record<string, unknown>> {
    await this.link.until(() => this.link.event(sessionId, event) !== undefined, event);
    return this.link.event(sessionId, event) ?? {};
  }

  /** Sends an event as the server does. */
  send(event: TerminalEvent, sessionId: string, fields: Record<string, unknown> = {}): void {
    this.manager.handle(event, { type: event, sessionId, ...fields });
  }

  /** Ends all terminals. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.manager.stopAll("the test is over");
    this.link.drop();
    await Deno.remove(this.#home, { recursive: true });
  }
}

/** The processes whose command line holds `text`, by `pgrep`. */
export async function processes(text: string): Promise<string[]> {
  const command = new Deno.Command("pgrep", { args: ["-f", "--", text], stderr: "null" });
  const { stdout } = await command.output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
}
