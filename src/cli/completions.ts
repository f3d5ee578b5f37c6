import type { Command } from "commander";
import { CONFIG_KEYS, filePath, flag } from "../config/mod.ts";
import {
  bashScript,
  fishScript,
  type Place,
  type PlaceOption,
  zshScript,
} from "./completion_scripts.ts";
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
  const [argument] = command.registeredArguments;
  const takesKey = argument?.name() === "key";
  const words = [
    ...commands.map((sub) => ({ name: sub.name(), description: sub.description() })),
    ...takesKey
      ? CONFIG_KEYS.map(({ key, doc }) => ({ name: key, description: doc }))
      : argument?.argChoices?.map((name) => ({ name, description: "" })) ?? [],
  ];
  const options = help.visibleOptions(command).map((option): PlaceOption => {
    const { short, long, description, argChoices, flags } = option;
    return {
      names: [short, long].filter((name) => name !== undefined),
      description,
      ...(argChoices ? { values: argChoices } : {}),
      ...(flags.endsWith("<file>") ? { files: true } : {}),
    };
  });
  const helped = commands.some((sub) => sub.name() === "help")
    ? [{ path: `${path} help`, words: words.filter(({ name }) => name !== "help"), options: [] }]
    : [];
  const values = takesKey && command.registeredArguments.length > 1 ? valuesOf(path, options) : [];
  const below = command.commands.flatMap((sub) => placesOf(sub, `${path} ${sub.name()}`));
  return [{ path, words, options }, ...helped, ...values, ...below];
}

/** What may come behind each key. */
function valuesOf(path: string, options: PlaceOption[]): Place[] {
  return CONFIG_KEYS.map(({ key, allowed }) => ({
    path: `${path} ${key}`,
    words: choicesIn(allowed).map((name) => ({ name, description: "" })),
    files: allowed === filePath.allowed,
    options,
  }));
}

/** The values that a sentence about them lists. */
function choicesIn(allowed: string): string[] {
  if (allowed === flag.allowed) return ["true", "false"];
  const [, list = ""] = /^one of (.*)$/.exec(allowed) ?? [];
  return list.split(/, | or /).filter(Boolean);
}
