import { EXIT_FAILED, EXIT_USAGE, messageOf, UserError } from "../system/user_error.ts";
import {
  CONFIG_KEYS,
  type ConfigKey,
  type ConfigSource,
  type ConfigValue,
  fileForm,
  inspectConfig,
  type InspectedConfig,
  isUsualConfig,
  locateConfig,
  type LocatedConfig,
  masked,
  parseValue,
} from "../config/mod.ts";
import { nearest } from "./nearest.ts";
import { complain, inLine, print, PROGRAM } from "./output.ts";
import { requireRoot } from "./require_root.ts";

/** What is shown of one key. */
interface Shown {
  /** The value in use, `***` for a secret; null when it is unset or bad. */
  value: ConfigValue | null;
  /** Who has set it. */
  source: ConfigSource;
  /** What is wrong with the value that somebody has set. */
  problem?: string;
}

/** Shows every key, its value and who has set it; gives the exit code. */
export async function configShow(
  { json = false, reveal = false }: { json?: boolean; reveal?: boolean },
): Promise<number> {
  if (reveal) await requireRoot();
  const inspected = await inspectConfig();
  const { path, exists, unknownKeys, problems, passedOver } = inspected;
  passedOver.forEach(complain);
  const values = Object.fromEntries(
    CONFIG_KEYS.map((row) => [row.key, shownOf(row, inspected, reveal)]),
  );
  if (json) print(`${JSON.stringify({ path, exists, values, unknownKeys }, null, 2)}\n`);
  else printTable(inspected, values);
  const sentences = Object.values(problems);
  sentences.forEach(complain);
  return sentences.length > 0 ? EXIT_FAILED : 0;
}

/** Prints the value of a key that is in use, a secret as `***`; gives the exit code, 1 if it is unset. */
export async function configGet(
  key: string,
  { reveal = false }: { reveal?: boolean } = {},
): Promise<number> {
  const row = findKey(key);
  if (reveal) await requireRoot();
  const { config, problems, passedOver } = await inspectConfig();
  passedOver.forEach(complain);
  const problem = problems[key];
  if (problem !== undefined) throw new UserError(problem);
  const value = fileForm(row, config);
  if (value === undefined) {
    complain(`${key} is not set.`);
    return EXIT_FAILED;
  }
  print(`${inLine(reveal ? value : masked(row, value))}\n`);
  return 0;
}

/**
 * The row of a key.
 *
 * @throws {UserError} that suggests the nearest.
 */
export function findKey(key: string): ConfigKey {
  const row = CONFIG_KEYS.find((row) => row.key === key);
  if (row) return row;
  const meant = nearest(key, CONFIG_KEYS.map((row) => row.key));
  const hint = meant ? `did you mean ${meant}?` : `\`${PROGRAM} config set --help\` lists all.`;
  throw new UserError(`There is no key '${key}': ${hint}`, { exitCode: EXIT_USAGE });
}

/**
 * The value of a key that was given to a command, as it is saved; `source` says where.
 *
 * @throws {UserError} with exit code 2 that says what is allowed.
 */
export function givenValue(name: string, text: string, source: string): ConfigValue {
  const row = findKey(name);
  try {
    return parseValue(row, text, source);
  } catch (error) {
    throw new UserError(messageOf(error), { exitCode: EXIT_USAGE });
  }
}

/** {@linkcode givenValue} of a key whose values are text. */
export function givenText(name: string, text: string): string {
  return String(givenValue(name, text, "here"));
}

/**
 * Says which configuration a command goes by, unless it is the service's or was named, and which
 * files it has passed over.
 */
export function tellWhichConfig(located: LocatedConfig): void {
  located.passedOver.forEach(complain);
  if (!isUsualConfig(located)) {
    complain(`the configuration is ${located.path}: it was found, not named.`);
  }
}

/** Prints the path of the configuration file, be there one or not; gives the exit code. */
export async function configPath(): Promise<number> {
  const { path, exists, passedOver } = await locateConfig();
  passedOver.forEach(complain);
  print(`${path}\n`);
  if (!exists) complain(`there is no such file yet: \`${PROGRAM} config set\` creates it.`);
  return 0;
}

function shownOf(row: ConfigKey, inspected: InspectedConfig, reveal: boolean): Shown {
  const { sources, problems, config } = inspected;
  const source = sources[row.key] ?? "default";
  const problem = problems[row.key];
  if (problem) return { value: null, source, problem };
  const value = fileForm(row, config);
  if (value === undefined) return { value: null, source };
  return { value: reveal ? value : masked(row, value), source };
}

function printTable(
  { path, exists, unknownKeys, duplicateKeys }: InspectedConfig,
  values: Record<string, Shown>,
): void {
  const rows = Object.entries(values).map(([key, shown]) => [
    key,
    textOf(shown),
    sourceText(shown.source),
  ]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()
  );
  print(`file: ${path}${exists ? "" : " (does not exist yet)"}\n\n${lines.join("\n")}\n`);
  if (duplicateKeys.length > 0) {
    print(
      `\nkeys that the file has more than once (the last one counts): ${
        duplicateKeys.join(", ")
      }\n`,
    );
  }
  if (unknownKeys.length > 0) {
    print(`\nunknown keys in the file, which are ignored: ${unknownKeys.join(", ")}\n`);
  }
}

function textOf({ value, problem }: Shown): string {
  if (problem) return "(bad)";
  if (value === null) return "(unset)";
  return inLine(value);
}

function sourceText(source: ConfigSource): string {
  if (source === "default") return source;
  return "file" in source ? "file" : `environment ${source.env}`;
}

const COLUMNS = 80;
const INDENT = "      ";

/** Every key with its default and its meaning, for a help text. */
export function configKeysHelp(): string {
  const keys = CONFIG_KEYS.map(({ key, fallback, allowed, needsRestart, doc }) => {
    const notes = [
      fallback === undefined ? "unset by default" : `default ${fallback}`,
      ...needsRestart ? ["needs a restart"] : [],
    ];
    return `  ${key} (${notes.join("; ")})\n${wrapped(`${doc} It must be ${allowed}.`)}`;
  });
  return `\nKeys:\n${keys.join("\n")}`;
}

function wrapped(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line !== "" && INDENT.length + line.length + 1 + word.length > COLUMNS) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.map((line) => INDENT + line).join("\n");
}
