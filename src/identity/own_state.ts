import { dirname, join } from "@std/path";
import type { Config } from "../config/mod.ts";
import { requireOwnFolder } from "../system/trust.ts";

/**
 * Makes sure that the state folder is this account's alone: whoever writes there has the agent run
 * what they like, as root where it is root.
 *
 * @throws {UserError} that names the folder, who else may write there, and what to do.
 */
export async function requireOwnState({ stateFile }: Pick<Config, "stateFile">): Promise<void> {
  const folder = dirname(stateFile);
  for (const each of [folder, join(folder, "tasks")]) {
    await requireOwnFolder(each, "The state folder");
  }
}
