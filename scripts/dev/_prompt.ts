import * as z from "@zod/zod";
import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import type { Screen } from "./_screen.ts";
import type { TaskBoard } from "./_task_board.ts";

const PROMPT = "command> ";
const MAX_HISTORY = 500;
/** A second Ctrl-C within this time leaves. */
const SURE_MS = 5_000;
const TYPES = [
  "shell.exec",
  "packageList",
  "packageSearch",
  "packageInstall",
  "packageRemove",
  "packagePurge",
  "log.scan",
];
const COMMANDS = [":again", ":cancel", ":help", ":open", ":quit", ":task"];
const HELP = `Type a shell command to run it as a task, or
  :task TYPE [JSON]  run a task of any type, e.g. :task packageSearch {"query": "jq"}
  :again [n]         run task n again, or the one queued last
  :cancel [n]        cancel task n, or the one queued last (Ctrl-C does that too)
  :open              open the page in a browser
  :help              this text
  :quit              stop the agent and leave (Ctrl-C twice does that too)`;

const payloadSchema = z.record(z.string(), z.unknown());

/** What the prompt works with. */
export interface PromptOptions {
  readonly board: TaskBoard;
  readonly screen: Screen;
  /** The address of the page. */
  readonly pageUrl: string;
  /** A file for what was typed; none: nothing is kept. */
  readonly historyFile?: string;
  /** It is time to leave. */
  leave(): void;
}

/** Obeys lines: from a person, or from standard input that is a list of commands. */
export class Prompt {
  readonly #options: PromptOptions;
  #askedAt = -Infinity;

  /** Does nothing yet. */
  constructor(options: PromptOptions) {
    this.#options = options;
  }

  /** The address of the page. */
  get pageUrl(): string {
    return this.#options.pageUrl;
  }

  /** What there is to type, and where the page is. */
  get help(): string {
    return `${HELP}\npage: ${this.#options.pageUrl}`;
  }

  /** Obeys a person until it is time to leave, or the input ends. */
  async converse(): Promise<void> {
    const { screen } = this.#options;
    const lines = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: true,
      prompt: PROMPT,
      history: await this.#history(),
      historySize: MAX_HISTORY,
      removeHistoryDuplicates: true,
      completer: (line: string) => complete(line, this.#options.board.size),
    });
    screen.prompt = lines;
    lines.on("SIGINT", () => this.#interrupt(lines));
    lines.on("history", (history: string[]) => void this.#keep(history));
    lines.prompt();
    for await (const line of lines) {
      if (this.obey(line)) return;
      screen.prompt?.prompt(true);
    }
  }

  /** Obeys a list of commands, one after the other. */
  async read(): Promise<void> {
    const { board } = this.#options;
    for await (const line of createInterface({ input: process.stdin, terminal: false })) {
      if (this.obey(line)) return;
      await board.settled();
    }
  }

  /** Obeys a line; true: it says to leave. */
  obey(line: string): boolean {
    const { board, screen, pageUrl } = this.#options;
    const text = line.trim();
    const [word = "", argument] = text.split(/\s+/);
    if (word === ":quit") return true;
    if (word === ":help") screen.say(this.help);
    else if (word === ":cancel") board.cancel(argument);
    else if (word === ":again") board.again(argument);
    else if (word === ":open") openPage(pageUrl, screen);
    else if (word === ":task") this.#task(text.slice(word.length).trim());
    else if (word.startsWith(":")) screen.say(`There is no ${word}; :help says what there is.`);
    else if (word) board.run(text);
    return false;
  }

  #task(text: string): void {
    const { board, screen } = this.#options;
    const [, type, json] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
    if (!type) {
      return screen.say('Usage: :task TYPE [JSON], e.g. :task shell.exec {"command": "id"}');
    }
    try {
      board.queue({ type, payload: payloadSchema.parse(JSON.parse(json || "{}")) });
    } catch {
      screen.say(`The payload is no JSON object: ${json}`);
    }
  }

  /** The line first, then the task, and everything only when that is asked for twice. */
  #interrupt(lines: Interface): void {
    const { board, screen, leave } = this.#options;
    if (lines.line !== "") {
      // Ctrl-E and Ctrl-U: to the end, and nothing left before it.
      lines.write(null, { ctrl: true, name: "e" });
      lines.write(null, { ctrl: true, name: "u" });
      return;
    }
    const running = board.active.at(-1);
    if (running !== undefined) {
      screen.say(`Cancelling task #${running} …`);
      return board.cancel(String(running));
    }
    const now = performance.now();
    if (now - this.#askedAt < SURE_MS) return leave();
    this.#askedAt = now;
    screen.say("Press Ctrl-C again to stop the agent and leave.");
  }

  async #history(): Promise<string[]> {
    const { historyFile } = this.#options;
    if (!historyFile) return [];
    const text = await Deno.readTextFile(historyFile).catch(() => "");
    return text.split("\n").filter((it) => it);
  }

  async #keep(history: string[]): Promise<void> {
    const { historyFile } = this.#options;
    if (!historyFile) return;
    // Nothing but convenience hangs on it.
    await Deno.writeTextFile(historyFile, history.join("\n"), { mode: 0o600 }).catch(() => {});
  }
}

/** What may follow: commands, types of tasks, numbers. */
export function complete(line: string, tasks: number): [string[], string] {
  const [word = "", argument] = line.split(" ");
  if (argument === undefined) {
    return [word.startsWith(":") ? COMMANDS.filter((it) => it.startsWith(word)) : [], word];
  }
  const numbers = Array.from({ length: tasks }, (_, index) => String(index + 1));
  const offers = word === ":task" ? TYPES : [":cancel", ":again"].includes(word) ? numbers : [];
  return [offers.filter((it) => it.startsWith(argument)), argument];
}

function openPage(url: string, screen: Screen): void {
  const command = Deno.build.os === "darwin" ? "open" : "xdg-open";
  try {
    const quiet = { stdin: "null", stdout: "null", stderr: "null" } as const;
    const child = new Deno.Command(command, { args: [url], ...quiet }).spawn();
    child.unref();
    void child.status.then(({ success }) => {
      if (!success) screen.say(`No browser came up: open ${url}`);
    });
  } catch {
    screen.say(`There is no ${command} here: open ${url}`);
  }
}
