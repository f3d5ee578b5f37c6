import { isAbsolute } from "@std/path";
import {
  type Config,
  loadConfig,
  type LoadedConfig,
  type ReadEnv,
  saveConfig,
} from "../config/mod.ts";
import { SERVICE_USER } from "../system/paths.ts";
import { takeConfigOver } from "./earlier_config.ts";
import { isThere, type Machine, modeAndOwner, must, type Places } from "./machine.ts";
import { keepFile } from "./kept_file.ts";
import type { Step } from "./steps.ts";

/** The environment has no say in the service, except for what is saved of it. */
const SAVED_VARIABLES = [
  "NODERAX_API_URL",
  "API_URL",
  "NODERAX_API_TLS_CA_FILE",
  "API_TLS_CA_FILE",
  "NODERAX_CONFIG_MIRROR_FILE",
];

/** Whoever else may write these decides what root does; see {@linkcode modeAndOwner}. */
const FILE_OF_ROOT = /^$|^\d*00 0:/;
const FOLDER_OF_ROOT = /^$|^\d*[0145]{2} 0:/;

/** The environment that the configuration at `places.config` is read and saved in. */
export function installEnv(places: Places, env: ReadEnv): ReadEnv {
  return (name) => {
    if (name === "NODERAX_CONFIG_FILE") return places.config;
    return SAVED_VARIABLES.includes(name) ? env(name) : undefined;
  };
}

/** What {@linkcode settings} is told. */
export interface SettingsOptions {
  /** The control plane's address, where the person has named one. */
  apiUrl?: string | undefined;
  /** How much the agent logs, where the person has said so. */
  logLevel?: string | undefined;
  /** See {@linkcode installEnv}. */
  env: ReadEnv;
  /** Hears of what did not stop it. */
  warn: (sentence: string) => void;
}

/** The configuration: what is set already stays, the rest is what a service needs. */
export function settings(machine: Machine, options: SettingsOptions): Step {
  const { places, run } = machine;
  const { env, warn } = options;
  return {
    name: "Configuration",
    async run(undos) {
      const taken = await takeConfigOver(machine, undos);
      const loaded = await loadConfig({ env });
      const changes = { ...taken?.kept, ...neededChanges(loaded, places, options) };
      const names = Object.keys(changes).join(", ");
      const isRoots = FILE_OF_ROOT.test(await modeAndOwner(run, places.config)) &&
        FOLDER_OF_ROOT.test(await modeAndOwner(run, places.configFolder));
      if (!names && isRoots) return { told: places.config, changed: false };
      const isNew = !await isThere(places.configFolder);
      // Only where it is empty, which the file's own undo sees to.
      if (isNew) undos.add(`folder ${places.configFolder}`, () => Deno.remove(places.configFolder));
      await must(
        run,
        "install",
        "-d",
        "-m",
        "0755",
        "-o",
        "root",
        "-g",
        "root",
        places.configFolder,
      );
      await keepFile(undos, places.config);
      const { warnings } = await saveConfig(places.config, changes, { env });
      // Saving keeps the owner.
      await must(run, "chown", "root:root", places.config);
      warnings.forEach(warn);
      const rest = taken ? `; others could write the one before, which is in ${taken.aside}` : "";
      return {
        told: `${places.config} (${names || "now owned by root alone"}${rest})`,
        changed: true,
      };
    },
  };
}

/** Where the service has its identity. A relative path would depend on where it is started. */
export function installedStateFile({ stateFile }: Config, places: Places): string {
  return isAbsolute(stateFile) ? stateFile : places.identity;
}

/** What has to be in the file. */
function neededChanges(
  { config, sources }: LoadedConfig,
  places: Places,
  { apiUrl = config.apiUrl, logLevel }: SettingsOptions,
): Record<string, string> {
  const inFile = (key: string) => typeof sources[key] === "object" && "file" in sources[key];
  const { apiTlsCaFile } = config;
  const stateFile = installedStateFile(config, places);
  return {
    ...(apiUrl && !(inFile("api_url") && apiUrl === config.apiUrl) ? { api_url: apiUrl } : {}),
    ...(logLevel && logLevel !== config.logLevel ? { log_level: logLevel } : {}),
    ...(apiTlsCaFile && !inFile("api_tls_ca_file") ? { api_tls_ca_file: apiTlsCaFile } : {}),
    ...(stateFile === config.stateFile ? {} : { state_file: stateFile }),
    ...(config.runAsUser ? {} : { run_as_user: SERVICE_USER }),
  };
}
