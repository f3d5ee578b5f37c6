import { join } from "@std/path";
import type { ReadEnv } from "../config/mod.ts";
import { passedOn } from "../hosts/agent_environment.ts";
import type { TaskIsolation } from "../hosts/task_isolation.ts";
import { DescriptorStore } from "../system/descriptor_store.ts";
import type { Logger } from "../system/logger.ts";
import { runtimeFolderOf } from "../system/paths.ts";
import { messageOf } from "../system/user_error.ts";
import { UnitTerminals } from "../terminal/unit_terminals.ts";

/** What {@linkcode lastingTerminals} needs. */
export interface LastingTerminalsOptions {
  /** Where work runs. */
  isolation: Pick<TaskIsolation, "manager" | "outlivesAgent">;
  /** Reads the environment as it was at the start. */
  env: ReadEnv;
  /** Whether there can be sessions at all: else those of an earlier agent are ended. */
  hasSessions: boolean;
  /** The agent's log. */
  logger: Logger;
}

/**
 * The terminals that outlive this agent, where it is a service whose work is in units, and those that
 * an earlier agent has left, in whatever way this one works. Undefined where there can be neither.
 */
export async function lastingTerminals(
  options: LastingTerminalsOptions,
): Promise<UnitTerminals | undefined> {
  const { isolation: { manager, outlivesAgent }, env, hasSessions, logger } = options;
  const runtime = runtimeFolderOf(env);
  const store = DescriptorStore.open(env, logger);
  if (!store || runtime === undefined) return undefined;
  try {
    if (manager) {
      const folder = join(runtime, "terminals");
      const startsUnits = outlivesAgent && hasSessions;
      const environment = passedOn(env);
      const takesUp = hasSessions;
      return await UnitTerminals.open({
        ...{ manager, store, folder, environment, startsUnits, takesUp, logger },
      });
    }
  } catch (error) {
    logger.warn("terminals have no units", { problem: messageOf(error) });
  }
  // Nobody can serve them: their shells are hung up on.
  for (const name of store.left) store.forget(name);
  store[Symbol.dispose]();
  return undefined;
}
