/**
 * The agent's configuration: what can be set, where it is found, how it is saved.
 *
 * @module
 */
export {
  bytesOfBound,
  filePath,
  flag,
  formatDuration,
  LOG_LEVELS,
  parseDuration,
} from "./kinds.ts";
export {
  type ConfigSource,
  inspectConfig,
  type InspectedConfig,
  loadConfig,
  type LoadedConfig,
  RunningConfig,
} from "./load.ts";
export * from "./locate.ts";
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
