import { commandLine } from "../src/cli/program.ts";
import { writtenFrom } from "./_written_from.ts";

type Program = ReturnType<typeof commandLine>;

/** The width of a help text, in columns, whatever the terminal is in which this runs. */
const WIDTH = 80;

/** docs/cli.md, made from the descriptions of the commands. */
export function cliPage(): string {
  const program = commandLine(() => {});
  const commands = withSubcommands(program);
  const rows = commands.map((command) =>
    `| [\`${pathOf(command)}\`](#${anchorOf(pathOf(command))}) | ${command.description()} |`
  );
  return `# Command line

${writtenFrom("src/cli/program.ts")}

Every command has \`--help\`, which is what this page shows. \`--config FILE\`, before or after the
command, names the configuration for this one call; \`--version\` is short for \`version\`.

| Command | What it does |
| --- | --- |
${rows.join("\n")}

A command that is interrupted ends with exit code 129 (its terminal is gone), 130 (Ctrl-C) or 143
(SIGTERM). Output that could not be written is a failure: exit code 1.

${commands.map(section).join("\n")}`;
}

/** The commands that can be called, each followed by those below it. */
function withSubcommands({ commands }: Program): Program[] {
  return commands.flatMap((command) =>
    command.commands.length > 0 ? [command, ...withSubcommands(command)] : [command]
  );
}

function section(command: Program): string {
  return `## ${pathOf(command)}\n\n\`\`\`text\n${helpOf(command).trim()}\n\`\`\`\n`;
}

function helpOf(command: Program): string {
  let text = "";
  const writeOut = (more: string) => void (text += more);
  command.configureOutput({ writeOut, getOutHelpWidth: () => WIDTH });
  command.outputHelp();
  return text;
}

function pathOf(command: Program): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

function anchorOf(heading: string): string {
  return heading.replaceAll(" ", "-");
}
