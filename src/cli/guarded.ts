import { EXIT_FAILED, EXIT_USAGE, messageOf, UserError } from "../system/user_error.ts";
import { configOptionAt } from "./is_run.ts";
import { complain, unwritten } from "./output.ts";

/**
 * Has the work done that `args` (without the program's name) ask for, which it gets without
 * `--config FILE`; gives the exit code. What fails is told to whoever has started the program.
 */
export async function guarded(
  args: string[],
  work: (args: string[]) => Promise<number>,
): Promise<number> {
  // The agent takes its variables out of the environment when it starts.
  const debugging = Deno.env.get("LOG_LEVEL") === "debug";
  try {
    const code = await work(takeConfigOption(args));
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
  const option = configOptionAt(args);
  if (!option) return args;
  const { at, length, file } = option;
  if (file.trim() === "") {
    throw new UserError("--config needs the path of a file.", { exitCode: EXIT_USAGE });
  }
  Deno.env.set("NODERAX_CONFIG_FILE", file);
  return args.toSpliced(at, length);
}
