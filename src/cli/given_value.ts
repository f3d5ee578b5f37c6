import { CONFIG_KEYS, parseValue } from "../config/mod.ts";
import { EXIT_USAGE, messageOf, UserError } from "../system/user_error.ts";

/**
 * The value of a key of the configuration that was given to a command, as it is saved.
 *
 * @throws {UserError} with exit code 2 that says what is allowed.
 */
export function givenValue(name: string, text: string): string {
  const key = CONFIG_KEYS.find(({ key }) => key === name);
  if (!key) throw new Error(`there is no key ${name}`);
  try {
    return String(parseValue(key, text, "here"));
  } catch (error) {
    throw new UserError(messageOf(error), { exitCode: EXIT_USAGE });
  }
}
