import { type Config, loadConfig, type ReadEnv } from "../config/mod.ts";
import type { Credentials } from "../control_plane/agent_api.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";

/** What is read once: a change of it is for the next start. */
const NEEDS_RESTART = [
  "apiUrl",
  "apiTlsCaFile",
  "nodeId",
  "agentToken",
  "realtimeEnabled",
  "metricsListen",
  "runAsUser",
  "stateFile",
] as const;

/**
 * Reads the configuration again while the agent runs that was started with `started`; undefined, and
 * said in the log, if it is bad: nothing changes then.
 */
export async function reload(
  started: Config,
  { env, identity, logger }: { env: ReadEnv; identity: Credentials; logger: Logger },
): Promise<Config | undefined> {
  try {
    const { config, warnings } = await loadConfig({ env });
    for (const warning of warnings) logger.debug("configuration warning", { warning });
    logger.setLevel(config.logLevel);
    // Credentials may come from the identity file, and then are not in the configuration.
    const inUse = { ...started, ...identity };
    const now = { ...identity, ...config };
    const needsRestart = NEEDS_RESTART.filter((key) => now[key] !== inUse[key]);
    logger.info("configuration read again", needsRestart.length > 0 ? { needsRestart } : {});
    return config;
  } catch (error) {
    logger.error("configuration stays as it was", { error: messageOf(error) });
    return undefined;
  }
}
