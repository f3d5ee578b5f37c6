import { Command } from "commander";
import { EXIT_USAGE, UserError } from "../system/user_error.ts";
import { nearest } from "./nearest.ts";
import { PROGRAM } from "./output.ts";

/** A command that answers a usage error with one sentence, which points to the help that fits. */
export class AgentCommand extends Command {
  /** Its subcommands do the same. */
  override createCommand(name?: string): AgentCommand {
    return new AgentCommand(name);
  }

  /** Shows command lines, without the program's name, at the end of the help. */
  examples(...lines: string[]): this {
    const shown = lines.map((line) => `  $ ${PROGRAM} ${line}`);
    return this.addHelpText("after", ["\nExamples:", ...shown].join("\n"));
  }

  /** Takes the parser's complaint. */
  override error(message: string): never {
    const complaint = this.#unknownCommand(message) ?? this.#needlessValue(message) ?? message
      .replace(/^error: /, "")
      // What was typed may be a secret, and the complaint may land in a log.
      .replace(/(but got \d+): [^]*/, "$1")
      .replace(/^(unknown option '[^=]+)=[^]*'/, "$1'")
      .replace(/\. (Expected|Allowed)/, (_, word: string) => `: ${word.toLowerCase()}`)
      .replace(/\n?\(Did you mean (.*)\?\)$/, " (did you mean $1?)")
      .replace(/\.$/, "");
    const sentence = `${complaint}; see \`${pathOf(this)} --help\`.`;
    throw new UserError(sentence, { exitCode: EXIT_USAGE });
  }

  /** The parser suggests what is written alike, whatever it means. */
  #unknownCommand(message: string): string | undefined {
    const [, word] = /^error: unknown command '(.*?)'/.exec(message) ?? [];
    return word === undefined ? undefined : this.#unknown(word);
  }

  #unknown(word: string): string {
    const names = this.createHelp().visibleCommands(this).map((command) => command.name());
    const meant = nearest(word, names);
    return `unknown command '${word}'${meant ? ` (did you mean ${meant}?)` : ""}`;
  }

  /** An option that was given a value which it does not take is an unknown one to the parser. */
  #needlessValue(message: string): string | undefined {
    const [, name] = /^error: unknown option '([^=]+)=/.exec(message) ?? [];
    const options = this.createHelp().visibleOptions(this);
    const isKnown = name !== undefined && options.some(({ long }) => long === name);
    return isKnown ? `option '${name}' takes no value` : undefined;
  }

  /** The parser would print this help when asked for that of a subcommand that does not exist. */
  override helpInformation(context?: { error: boolean }): string {
    const names = this.commands.map((command) => command.name());
    const [word = "help"] = this.args[0] === "help" ? this.args.slice(1) : this.args;
    if (names.length > 0 && !["help", ...names].includes(word) && !word.startsWith("-")) {
      this.error(this.#unknown(word));
    }
    return super.helpInformation(context);
  }
}

/** All of the words that call a command, the program's name first. */
function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}
