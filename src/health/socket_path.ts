import { dirname, join } from "@std/path";
import type { ReadEnv } from "../config/mod.ts";
import { INSTALLED } from "../system/paths.ts";

const NAME = "agent.sock";

/** Where the running agent serves: in the folder that systemd made for it, else with its state. */
export function ownSocketPath(env: ReadEnv, stateFile: string): string {
  const [folder] = (env("RUNTIME_DIRECTORY") ?? "").split(":");
  return join(folder || dirname(stateFile), NAME);
}

/**
 * Where a command looks for the agent, in this order. `stateFile` is undefined where the
 * configuration does not tell. The installed agent counts also where nobody has `named` the
 * configuration: what lies in the working directory must not hide the service.
 */
export function socketPaths(stateFile: string | undefined, named: boolean): string[] {
  const installed = join(INSTALLED.runtimeFolder, NAME);
  const own = stateFile === undefined ? [] : [join(dirname(stateFile), NAME)];
  const isInstalled = stateFile !== undefined && dirname(stateFile) === INSTALLED.stateFolder;
  return [...own, ...!named || isInstalled ? [installed] : []];
}
