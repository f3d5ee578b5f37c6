import { purgedParts, uninstallAgent } from "../install/uninstall.ts";
import { INSTALLED } from "../system/paths.ts";
import { runTool } from "../system/tool.ts";
import { EXIT_FAILED, EXIT_USAGE, UserError } from "../system/user_error.ts";
import { askYesNo } from "./ask.ts";
import { complain, print, PROGRAM } from "./output.ts";
import { requireRoot } from "./require_root.ts";

/** What the command line says. */
export interface UninstallCommandOptions {
  /** Removes configuration, identity and state as well. */
  purge?: boolean;
  /** Does not ask. */
  yes?: boolean;
}

/** Removes what install has created, and says so; gives the exit code. */
export async function uninstall(
  { purge = false, yes = false }: UninstallCommandOptions,
): Promise<number> {
  await requireRoot();
  const machine = { places: INSTALLED, run: runTool };
  if (purge && !yes && !await confirmed(await purgedParts(machine))) {
    print("Nothing was removed.\n");
    return EXIT_FAILED;
  }
  const failed = await uninstallAgent(machine, { purge, print, warn: complain });
  return failed ? EXIT_FAILED : 0;
}

/** Says what is lost for good, and asks. */
async function confirmed(parts: readonly string[]): Promise<boolean> {
  print(`This deletes for good:\n${parts.map((part) => `  ${part}\n`).join("")}`);
  if (!Deno.stdin.isTerminal()) {
    const message = `--purge asks, and nobody is there to answer: run \`sudo ${PROGRAM} ` +
      "uninstall --purge --yes`.";
    throw new UserError(message, { exitCode: EXIT_USAGE });
  }
  return await askYesNo("Delete all of it? The node stays in the Noderax web app.");
}
