import { join } from "@std/path";
import type { ReadEnv } from "../config/mod.ts";
import { DescriptorStore } from "../system/descriptor_store.ts";
import type { Logger } from "../system/logger.ts";
import type { ServiceManager } from "../system/service_manager.ts";
import { messageOf } from "../system/user_error.ts";
import { UnitTerminals } from "../terminal/unit_terminals.ts";

/**
 * The terminals that outlive this agent, where it is a service whose work is in units; undefined, and
 * said why, where they do not.
 */
export async function lastingTerminals(
  manager: ServiceManager,
  env: ReadEnv,
  logger: Logger,
): Promise<UnitTerminals | undefined> {
  const runtime = env("RUNTIME_DIRECTORY");
  const store = DescriptorStore.open(env, logger);
  if (!store || runtime === undefined) return undefined;
  const opened = await UnitTerminals.open({
    manager,
    store,
    folder: join(runtime, "terminals"),
    logger,
  }).catch(messageOf);
  if (typeof opened !== "string") return opened;
  store[Symbol.dispose]();
  logger.warn("terminals have no units", { problem: opened });
  return undefined;
}
