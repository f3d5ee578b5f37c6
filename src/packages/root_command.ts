import type { Launch } from "../privileges/launch.ts";
import { UserError } from "../system/user_error.ts";
import type { TaskContext } from "../tasks/task_type.ts";

/**
 * How a command is run that changes packages: as root.
 *
 * @throws {UserError} if this node's root access profile does not allow it.
 */
export async function rootCommand(
  { privileges, signal }: TaskContext,
  argv: string[],
  env: Record<string, string>,
): Promise<ReturnType<Launch>> {
  const refusal = await privileges.allows("operational", signal);
  if (refusal !== undefined) throw new UserError(refusal);
  return privileges.root({ argv, env });
}
