import { EXIT_FAILED, EXIT_USAGE, messageOf, UserError } from "../system/user_error.ts";
import { complain, unwritten } from "./output.ts";

/** Runs what `args` (without the program's name) ask for; gives the exit code. */
export async function main(args: string[]): Promise<number> {
  // The agent takes its variables out of the environment when it starts.
  const debugging = Deno.env.get("LOG_LEVEL") === "debug";
  try {
    const code = await route(args);
    const problem = unwritten();
    if (problem === undefined) return code;
    complain(problem);
    return code || EXIT_FAILED;
  } catch (error) {
    if (error instanceof UserError) {
      complain(error.message);
      return error.exitCode;
    }
    const stack = error instanceof Error && debugging ? `\n${error.stack}` : "";
    complain(`unexpected error: ${messageOf(error)}. This is a bug: please report it.${stack}`);
    return EXIT_FAILED;
  }
}

/**
 * Takes `--config FILE` out of the arguments, wherever it stands: it is NODERAX_CONFIG_FILE for one
 * command. Without a file it stays, for the parser to complain of.
 */
function takeConfigOption(args: string[]): string[] {
  const end = args.indexOf("--");
  const at = args.findIndex((arg, index) =>
    (end < 0 || index < end) &&
    (arg.startsWith("--config=") || (arg === "--config" && index + 1 < args.length))
  );
  if (at < 0) return args;
  const [option = "", next = ""] = args.slice(at);
  const [file, length] = option === "--config" ? [next, 2] : [option.slice("--config=".length), 1];
  if (file.trim() === "") {
    throw new UserError("--config needs the path of a file.", { exitCode: EXIT_USAGE });
  }
  Deno.env.set("NODERAX_CONFIG_FILE", file);
  return args.toSpliced(at, length);
}

/** The daemon does without the argument parser: it starts quicker and stays smaller. */
async function route(given: string[]): Promise<number> {
  const args = takeConfigOption(given);
  if (args.length === 0 || (args.length === 1 && args[0] === "run")) {
    const { run } = await import("./run.ts");
    return await run();
  }
  const { runProgram } = await import("./program.ts");
  return await runProgram(args);
}
