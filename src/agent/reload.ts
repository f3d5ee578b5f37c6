import { type Config, CONFIG_KEYS, loadConfig, type ReadEnv } from "../config/mod.ts";
import type { Credentials } from "../control_plane/agent_api.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";

/** What holds after a reload. */
export interface Reloaded {
  /** The configuration that is in force. */
  config: Config;
  /** The keys whose new values wait for the next start. */
  needsRestart: string[];
}

/**
 * Reads the configuration again while the agent runs that was started with `started`, whose values
 * of the keys that need a restart stay in force. Undefined, and said in the log, if it is bad:
 * nothing changes then.
 */
export async function reload(
  started: Config,
  { env, identity, logger }: { env: ReadEnv; identity: Credentials; logger: Logger },
): Promise<Reloaded | undefined> {
  try {
    const { config: read, warnings } = await loadConfig({ env });
    for (const warning of warnings) logger.debug("configuration warning", { warning });
    // Credentials may come from the identity file, and then are not in the configuration.
    const inUse: Config = { ...started, ...identity };
    const wanted: Config = { ...identity, ...read };
    const waiting = CONFIG_KEYS.filter(({ property, needsRestart }) =>
      needsRestart && wanted[property] !== inUse[property]
    );
    const config: Config = { ...read };
    for (const { property } of waiting) take(config, started, property);
    const needsRestart = waiting.map(({ key }) => key);
    logger.setLevel(config.logLevel);
    logger.info("configuration reloaded", needsRestart.length > 0 ? { needsRestart } : {});
    return { config, needsRestart };
  } catch (error) {
    logger.error("configuration could not be reloaded", { error: messageOf(error) });
    return undefined;
  }
}

function take<Key extends keyof Config>(into: Config, from: Config, key: Key): void {
  into[key] = from[key];
}
