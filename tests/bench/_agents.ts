import { dirname, join } from "@std/path";
import { INSTALLED } from "../../src/system/paths.ts";
import { type AgentProcess, Fleet } from "../_agent.ts";
import { AGENT } from "../_command.ts";
import { realtimeFleet } from "../_realtime.ts";

/** A way to start the agent that is measured. */
export interface Variant {
  /** In the report; "" where there is but one. */
  name: string;
  command: readonly string[];
}

/**
 * What is installed has a folder for what Deno keeps, and what is merely unpacked has none: both starts
 * of a release are measured, with a folder of their own. Any other command has one.
 */
export async function variants(folder: string): Promise<Variant[]> {
  const [program = ""] = AGENT;
  const launcher = AGENT.length === 1 ? await Deno.readTextFile(program).catch(() => "") : "";
  if (!launcher.includes(INSTALLED.cacheFolder)) return [{ name: "", command: AGENT }];
  const cache = join(folder, "cache");
  await Deno.mkdir(cache);
  return await Promise.all(
    Object.entries({ "cache folder": cache, "no cache folder": join(folder, "none") }).map(
      async ([name, place], i) => {
        const file = join(dirname(program), `bench-${i}`);
        await Deno.writeTextFile(file, launcher.replaceAll(INSTALLED.cacheFolder, place));
        await Deno.chmod(file, 0o755);
        return { name, command: [file] };
      },
    ),
  );
}

/** What an agent is measured with: all is as users have it that have set nothing. */
const DEFAULTS = { task_poll_interval: undefined, realtime_backoff_jitter: undefined };

/** A control plane and a node with the settings that users have. */
export function defaultFleet(
  config: Record<string, unknown> = {},
  options: Parameters<typeof realtimeFleet>[1] = {},
): Promise<Fleet> {
  return realtimeFleet({ ...DEFAULTS, ...config }, { queueTimeoutMs: 600_000, ...options });
}

/** Runs something on a fresh fleet with a live agent, so that no figure carries the one before. */
export async function onFleet<T>(
  { command }: Variant,
  work: (fleet: Fleet, agent: AgentProcess) => Promise<T>,
  config: Record<string, unknown> = {},
  options: Parameters<typeof realtimeFleet>[1] = {},
): Promise<T> {
  await using fleet = await defaultFleet(config, options);
  await using agent = fleet.spawnAgent({ SHELL: "/bin/bash" }, { command });
  await agent.waitForLog("realtime session is up");
  const result = await work(fleet, agent);
  await agent.stop();
  if (fleet.controlPlane.violations.length > 0) {
    throw new Error(`the agent broke the contract: ${fleet.controlPlane.violations[0]}`);
  }
  return result;
}
