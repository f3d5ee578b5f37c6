import { EXIT_FAILED, messageOf, UserError } from "../system/user_error.ts";
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

/** The daemon does without the argument parser: it starts quicker and stays smaller. */
async function route(args: string[]): Promise<number> {
  if (args.length === 0 || (args.length === 1 && args[0] === "run")) {
    const { run } = await import("./run.ts");
    return await run();
  }
  const { runProgram } = await import("./program.ts");
  return await runProgram(args);
}
