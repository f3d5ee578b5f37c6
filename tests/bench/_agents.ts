import { dirname, join } from "@std/path";
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
 * A release keeps what Deno compiles of it beside itself; where its folder cannot be written it has to
 * do without. Both starts are measured; any other command has one.
 */
export async function variants(): Promise<Variant[]> {
  const [program = ""] = AGENT;
  const launcher = AGENT.length === 1 ? await Deno.readTextFile(program).catch(() => "") : "";
  if (!/^exec "/m.test(launcher)) return [{ name: "", command: AGENT }];
  const bare = join(dirname(program), "without-cache");
  await Deno.writeTextFile(bare, launcher.replace(/^exec "/m, 'DENO_DIR=/dev/null exec "'));
  await Deno.chmod(bare, 0o755);
  return [{ name: "", command: AGENT }, { name: "nothing kept", command: [bare] }];
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
