/**
 * The agent's configuration: what can be set, where it is found, how it is saved.
 *
 * @module
 */
export { formatDuration, parseDuration } from "./duration.ts";
export { filePath, flag, LOG_LEVELS } from "./_kinds.ts";
export type { ReadEnv } from "./_env.ts";
export * from "./load.ts";
export * from "./save.ts";
export {
  type Config,
  CONFIG_KEYS,
  type ConfigKey,
  configSchema,
  type ConfigValue,
  type KeyInfo,
} from "./schema.ts";
export { fileForm, masked, parseValue } from "./value.ts";
