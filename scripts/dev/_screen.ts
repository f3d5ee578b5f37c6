import type { Interface } from "node:readline";

/** What the screen writes to, and whether it may use colours. */
export interface ScreenOptions {
  write(text: string): void;
  color: boolean;
}

const DIM = "2";
const STREAM_COLORS: Record<string, string> = { stderr: "31", system: "36" };

/** Lines of tasks and of the agent, above the prompt if there is one. */
export class Screen {
  /** Where a person types: what was typed so far is kept below each new line. */
  prompt: Interface | undefined;
  readonly #options: ScreenOptions;

  /** Makes one without a prompt. */
  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  /** A line of this program's own. */
  say(text: string): void {
    if (!this.prompt) return this.#options.write(`${text}\n`);
    this.#options.write(`\r\x1b[K${text}\n`);
    this.prompt.prompt(true);
  }

  /** A line of the agent's own. */
  agent(line: string): void {
    this.say(this.#paint(`agent| ${line}`, DIM));
  }

  /** A log entry of a task, which may have several lines. */
  entry(task: string, stream: string, text: string): void {
    for (const line of text.split("\n")) {
      this.say(`${task} ${this.#paint(`${stream}| ${line}`, STREAM_COLORS[stream])}`);
    }
  }

  /** Takes the prompt away for good. */
  endPrompt(): void {
    if (!this.prompt) return;
    this.prompt.close();
    this.prompt = undefined;
    this.#options.write("\r\x1b[K");
  }

  #paint(text: string, color: string | undefined): string {
    return this.#options.color && color ? `\x1b[${color}m${text}\x1b[0m` : text;
  }
}
