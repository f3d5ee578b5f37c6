import { Command, CommanderError } from "@std/cli";
import { EXIT_USAGE } from "../system/user_error.ts";
import { VERSION } from "../system/version.ts";
import { complain, print, PROGRAM } from "./output.ts";

const EXAMPLES = `
Examples:
  $ ${PROGRAM} enroll                        ask for an email address and enroll this machine
  $ ${PROGRAM} enroll --email me@example.com
  $ ${PROGRAM} run                           run the agent (also when no command is given)
`;

/** Runs the command that `args` (without the program's name) ask for; gives its exit code. */
export async function runProgram(args: string[]): Promise<number> {
  let exitCode = 0;
  const program = describe((code) => exitCode = code);
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // The parser has said what is wrong; its exit code is 0 after a help text.
    return error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
}

/** Each command loads its module only when it is called, so that the others start quickly. */
function describe(exit: (code: number) => void): Command {
  const program = new Command(PROGRAM)
    .description("Lets a Noderax control plane watch this machine and run tasks on it.")
    .exitOverride()
    .configureOutput({
      writeOut: print,
      // The parser would look up variables that the agent has no permission to read.
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: (text) => complain(text.replace(/^error: /, "").trimEnd()),
    })
    .version(`${PROGRAM} ${VERSION}`, "-V, --version", "print name and version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .addHelpText("after", EXAMPLES);
  program.command("enroll")
    .description("enroll this machine: somebody approves it in the Noderax web app")
    .option("--email <address>", "the address whose owner approves it; asked for unless given")
    .option("--again", "enroll anew, when this machine's node was deleted")
    .action(async (options: { email?: string; again?: boolean }) => {
      const { enroll } = await import("./enroll.ts");
      exit(await enroll(options));
    });
  program.command("run")
    .description("run the agent; what happens when no command is given")
    .action(async () => {
      const { run } = await import("./run.ts");
      exit(await run());
    });
  program.command("version")
    .description("print name and version")
    .action(() => print(`${PROGRAM} ${VERSION}\n`));
  return program;
}
