import { loadConfig, type LoadedConfig, type ReadEnv, saveConfig } from "../config/mod.ts";
import { requireOwnState } from "../identity/known_identity.ts";
import { enrollment } from "../install/enroll_step.ts";
import { controlPlane } from "../install/install_preflight.ts";
import { keepFile } from "../install/kept_file.ts";
import { runSteps, type Step } from "../install/steps.ts";
import { EXIT_USAGE, UserError } from "../system/user_error.ts";
import { takeEnvironment } from "./environment.ts";
import { givenText } from "./config.ts";
import { Interruption } from "./interruption.ts";
import { complain, print, PROGRAM } from "./output.ts";

/** What the command line says. */
export interface BootstrapCommandOptions {
  /** The control plane's address. */
  apiUrl?: string;
  /** What makes this machine a node. */
  bootstrapToken?: string;
  /** The configuration that is to keep it. */
  configFile?: string;
  /** Where the identity is to be. */
  stateFile?: string;
  /** How much the agent is to log. */
  logLevel?: string;
}

/**
 * Makes this machine a node by a token, and keeps that in the configuration, without installing a
 * service; gives the exit code. A machine that is a node already stays the same one.
 */
export async function bootstrap(options: BootstrapCommandOptions): Promise<number> {
  const processEnv = takeEnvironment();
  const { configFile, bootstrapToken: token = processEnv("NODERAX_BOOTSTRAP_TOKEN") } = options;
  if (!token) {
    const message = `bootstrap needs --bootstrap-token: see \`${PROGRAM} bootstrap --help\`.`;
    throw new UserError(message, { exitCode: EXIT_USAGE });
  }
  const given = {
    ...options.apiUrl ? { api_url: givenText("api_url", options.apiUrl) } : {},
    ...options.stateFile ? { state_file: givenText("state_file", options.stateFile) } : {},
    ...options.logLevel ? { log_level: givenText("log_level", options.logLevel) } : {},
  };
  const env: ReadEnv = (name) =>
    name === "NODERAX_CONFIG_FILE" ? configFile ?? processEnv(name) : processEnv(name);
  const before = await loadConfig({ env });
  const { apiUrl, stateFile } = before.config;
  const wished = {
    ...before,
    config: {
      ...before.config,
      apiUrl: given.api_url ?? apiUrl,
      stateFile: given.state_file ?? stateFile,
    },
  };
  await requireOwnState(wished.config);
  using interruption = new Interruption("The enrollment was interrupted.");
  const steps = [
    controlPlane(() => Promise.resolve(wished)),
    settingsOf(before, given, env),
    enrollment({
      env,
      token,
      warn: complain,
      converse: () => Promise.reject(new Error("a token asks nobody")),
    }),
  ];
  await runSteps(steps, { print, signal: interruption.signal });
  return 0;
}

function settingsOf({ path }: LoadedConfig, given: Record<string, string>, env: ReadEnv): Step {
  return {
    name: "Configuration",
    async run(undos) {
      const names = Object.keys(given).join(", ");
      if (!names) return { told: path, changed: false };
      await keepFile(undos, path);
      (await saveConfig(path, given, { env })).warnings.forEach(complain);
      return { told: `${path} (${names})`, changed: true };
    },
  };
}
