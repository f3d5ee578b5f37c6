import { stripVTControlCharacters } from "node:util";
import { runTool } from "../src/system/tool.ts";
import { UserError } from "../src/system/user_error.ts";

/**
 * Runs a tool that must succeed; gives its standard output.
 *
 * @throws {UserError} with what it complained about.
 */
export async function mustRun(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runTool(program, ...args);
  if (code === 0) return stdout;
  const command = [program, ...args.slice(0, 2)].join(" ");
  throw new UserError(`\`${command} …\` failed: ${stripVTControlCharacters(stderr).trim()}`);
}
