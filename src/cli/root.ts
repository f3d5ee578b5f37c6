import { lookUpAccounts } from "../privileges/accounts.ts";
import { UserError } from "../system/user_error.ts";
import { PROGRAM } from "./output.ts";

/**
 * Does nothing for root.
 *
 * @throws {UserError} for anybody else: it says how to run `command` of `program`.
 */
export async function requireRoot(command: string, program = PROGRAM): Promise<void> {
  if ((await lookUpAccounts()).uid === 0) return;
  throw new UserError(`This needs root: run \`sudo ${program} ${command}\`.`);
}
