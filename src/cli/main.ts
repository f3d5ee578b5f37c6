import { guarded } from "./guarded.ts";
import { isRun } from "./is_run.ts";

/** Runs what `args` (without the program's name) ask for; gives the exit code. */
export function main(args: string[]): Promise<number> {
  return guarded(args, route);
}

/** The daemon does without the argument parser: it starts quicker and stays smaller. */
async function route(args: string[]): Promise<number> {
  if (isRun(args)) {
    const { run } = await import("./daemon.ts");
    return await run();
  }
  const { runProgram } = await import("./program.ts");
  return await runProgram(args);
}
