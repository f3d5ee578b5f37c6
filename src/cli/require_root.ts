import { lookUpAccounts } from "../privileges/accounts.ts";
import { UserError } from "../system/user_error.ts";
import { PROGRAM } from "./output.ts";

/** The options whose values are secret. */
const SECRETS = ["--bootstrap-token"];

/**
 * Does nothing for root.
 *
 * @throws {UserError} for anybody else: it says how to run `program` as it was, but for its secrets.
 */
export async function requireRoot(
  program = PROGRAM,
  args: readonly string[] = Deno.args,
): Promise<void> {
  if ((await lookUpAccounts()).uid === 0) return;
  const words = ["sudo", program, ...args.map((arg, at) => shownArgument(arg, args[at - 1]))];
  throw new UserError(`This needs root: run \`${words.join(" ")}\`.`);
}

/** As a shell takes it. */
function shownArgument(arg: string, before = ""): string {
  const [name = "", ...value] = arg.split("=");
  if (SECRETS.includes(name) && value.length > 0) return `${name}=***`;
  if (SECRETS.includes(before)) return "***";
  return /^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`;
}
