import type { Command } from "commander";
import { CONFIG_KEYS } from "../config/mod.ts";
import { bashScript, fishScript, type Place, zshScript } from "./completion_scripts.ts";
import { print } from "./output.ts";

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

/** Prints the script that completes `program`'s command line in a shell; gives the exit code. */
export function completions(shell: keyof typeof SCRIPTS, program: Command): number {
  print(SCRIPTS[shell](program.name(), placesOf(program)));
  return 0;
}

/** The command and all below it, each with what may follow. */
function placesOf(command: Command, path = ""): Place[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command);
  const words = [
    ...commands.map((sub) => ({ name: sub.name(), description: sub.description() })),
    ...(command.registeredArguments[0]?.name() === "key"
      ? CONFIG_KEYS.map(({ key, doc }) => ({ name: key, description: doc }))
      : command.registeredArguments[0]?.argChoices?.map((name) => ({ name, description: "" })) ??
        []),
  ];
  const options = help.visibleOptions(command).map(({ short, long, description }) => ({
    names: [short, long].filter((name) => name !== undefined),
    description,
  }));
  const below = command.commands.flatMap((sub) => placesOf(sub, `${path} ${sub.name()}`));
  return [{ path, words, options }, ...below];
}
