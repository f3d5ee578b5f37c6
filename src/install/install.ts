import { loadConfig, type LoadedConfig } from "../config/mod.ts";
import { EnrollmentApi } from "../control_plane/agent_api.ts";
import { connect } from "../control_plane/connect.ts";
import { messageOf } from "../system/user_error.ts";
import { VERSION } from "../system/version.ts";
import { account } from "./account.ts";
import { earlierAgent, hasEarlierAgent } from "./earlier_agent.ts";
import { configBefore } from "./earlier_config.ts";
import { enrollment, type EnrollmentOptions } from "./enroll_step.ts";
import { link, oldProgram, program } from "./installed_program.ts";
import { lockInstallation, type Machine, removeAll } from "./machine.ts";
import { findPackage, type Release } from "./release.ts";
import { controlPlane, preflight } from "./install_preflight.ts";
import { service, type ServiceOptions } from "./service.ts";
import { settings } from "./settings.ts";
import { StageReporter } from "./stages.ts";
import { stateFolder } from "./state_folder.ts";
import { runSteps, type Step, type StepsOptions } from "./steps.ts";
import { ownUnit, packagedUnit } from "./unit_file.ts";

/** A web app that shows nothing must not hold the installation up for long. */
const REPORT_TIMEOUT_MS = 5_000;

/** What {@linkcode installAgent} is told. */
export interface InstallOptions extends EnrollmentOptions, ServiceOptions, StepsOptions {
  /** The control plane's address; undefined where the configuration has one that stays. */
  apiUrl: string | undefined;
  /** How much it logs; undefined leaves that as it is. */
  logLevel?: string | undefined;
  /** What is installed. */
  release: Release;
}

/**
 * Installs the program as a service, makes the machine a node and starts; or upgrades what is there,
 * keeping identity and configuration. The control plane is told how it goes where there is a
 * bootstrap token. Throws what made it fail, after everything was undone as far as it may be.
 */
export async function installAgent(machine: Machine, options: InstallOptions): Promise<void> {
  const { token, warn } = options;
  if (!token) return await install(machine, options);
  using transport = await connect(await wishedConfig(machine, options));
  const api = new EnrollmentApi(transport, REPORT_TIMEOUT_MS);
  const reporter = new StageReporter({ api, token, warn });
  await reporter.reached("installer_started");
  try {
    await install(machine, { ...options, reached: (stage) => reporter.reached(stage) });
  } catch (error) {
    await reporter.failed(messageOf(error));
    throw error;
  }
}

async function install(machine: Machine, options: InstallOptions): Promise<void> {
  await using _lock = await lockInstallation(machine.places);
  const config = async () => (await loadConfig({ env: options.env })).config;
  const unit = await findPackage(machine.places)
    ? packagedUnit(machine, config, options.warn)
    : ownUnit(machine, config);
  const steps: Step[] = [
    preflight(machine, options.release),
    controlPlane(() => wishedConfig(machine, options)),
    ...await hasEarlierAgent(machine) ? [earlierAgent(machine)] : [],
    account(machine),
    program(machine, options.release, VERSION),
    link(machine),
    stateFolder(machine),
    settings(machine, options),
    unit,
    enrollment(options),
    service(machine, options),
  ];
  await runSteps(steps, options);
  await removeAll(oldProgram(machine.places));
}

/** The configuration as it will be, as far as the way to the control plane goes. */
async function wishedConfig(
  { places }: Machine,
  { env, apiUrl }: InstallOptions,
): Promise<LoadedConfig> {
  const loaded = await configBefore(places, env);
  return { ...loaded, config: { ...loaded.config, apiUrl: apiUrl ?? loaded.config.apiUrl } };
}
