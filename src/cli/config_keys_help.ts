import { CONFIG_KEYS } from "../config/mod.ts";

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
