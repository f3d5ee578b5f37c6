import { createHash } from "node:crypto";
import { dirname, join, resolve } from "@std/path";
import type { ReadEnv } from "../config/mod.ts";
import { INSTALLED } from "../system/paths.ts";

const NAME = "agent.sock";
/** The kernel takes no longer path of a socket. */
const MAX_BYTES = 107;

/** Where the running agent serves: in the folder that systemd made for it, else with its state. */
export function ownSocketPath(env: ReadEnv, stateFile: string): string {
  const [folder] = (env("RUNTIME_DIRECTORY") ?? "").split(":");
  const runtime = join(folder || dirname(stateFile), NAME);
  return fits(runtime) ? runtime : besideState(stateFile);
}

/**
 * Where a command looks for the agent, in this order. `stateFile` is undefined where the
 * configuration does not tell. The installed agent counts also where nobody has `named` the
 * configuration: what lies in the working directory must not hide the service.
 */
export function socketPaths(stateFile: string | undefined, named: boolean): string[] {
  const installed = join(INSTALLED.runtimeFolder, NAME);
  const own = stateFile === undefined ? [] : [besideState(stateFile)];
  const isInstalled = stateFile !== undefined && dirname(stateFile) === INSTALLED.stateFolder;
  return [...own, ...!named || isInstalled ? [installed] : []];
}

/** In the state folder or, where its path is too long, in a folder that its path gives a name. */
function besideState(stateFile: string): string {
  const path = join(dirname(stateFile), NAME);
  if (fits(path)) return path;
  const id = createHash("sha256").update(resolve(dirname(stateFile))).digest("hex").slice(0, 16);
  return `/tmp/noderax-agent-${id}/${NAME}`;
}

function fits(path: string): boolean {
  return new TextEncoder().encode(path).length <= MAX_BYTES;
}
