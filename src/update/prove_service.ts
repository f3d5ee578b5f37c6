import { jsonOf } from "../system/text.ts";
import { abortable, delay } from "@std/async";
import { type Machine, must } from "../install/machine.ts";
import type { Step } from "../install/steps.ts";
import { AgentStatus } from "../health/agent_status.ts";
import { askAgent } from "../health/status_client.ts";
import { SERVICE } from "../system/paths.ts";
import { type ServiceState, serviceState } from "../system/systemd.ts";
import { messageOf, UserError } from "../system/user_error.ts";

/** A version that systemd has started so often by itself does not serve, however long it is waited for. */
const MAX_RESTARTS = 3;

/** How {@linkcode requireServing} waits. */
export interface ProofOptions {
  /** The version that must serve. */
  version: string;
  /** Where the agent's socket is. */
  sockets: readonly string[];
  /** Asks the agent; {@linkcode askAgent} unless told. */
  ask?: typeof askAgent;
  /** Ends the wait early; its reason is thrown. */
  signal?: AbortSignal;
  /** So long may it take to serve, in milliseconds. */
  limitMs?: number;
  /** So long must it serve without another start, in milliseconds. */
  provesMs?: number;
  /** Pause between two looks, in milliseconds. */
  intervalMs?: number;
}

/** Who hears of the restart. */
export interface RestartOptions extends ProofOptions {
  /** Hears that the service is restarted now. */
  onRestarting: () => Promise<void>;
  /** Hears that a process of the new version was started, however it has ended. */
  onStarted: () => void;
  /** Hears that the service was restarted. */
  onRestarted: () => Promise<void>;
}

/**
 * Restarts the service and waits until the new agent runs and answers on its own socket, and goes on
 * doing so. Whether the control plane answers is not asked: an outage rolls no good version back.
 */
export function provenService(machine: Machine, options: RestartOptions): Step {
  return {
    name: "Service",
    async run(undos) {
      undos.addLast("the service runs as before", () => restart(machine));
      await options.onRestarting();
      const before = await serviceState(machine.run);
      const restarted = restart(machine);
      // The agent before may take its hours to end its tasks.
      const waited = options.signal ? abortable(restarted, options.signal) : restarted;
      await waited.catch(async (cause) => {
        const after = await serviceState(machine.run);
        if (after?.invocation !== before?.invocation) options.onStarted();
        throw new UserError(`${options.version} does not start: ${messageOf(cause)}`, { cause });
      });
      options.onStarted();
      await options.onRestarted();
      await requireServing(machine, options);
      return { told: `restarted, and ${options.version} serves`, changed: true };
    },
  };
}

async function restart({ run }: Machine): Promise<void> {
  // One that has often failed would begin with a pause.
  await run("systemctl", "reset-failed", SERVICE);
  await must(run, "systemctl", "restart", SERVICE);
}

/**
 * Waits until a version runs and answers on its own socket, and has done so for a while.
 *
 * @throws {UserError} when it does not within its limit.
 */
export async function requireServing(machine: Machine, options: ProofOptions): Promise<void> {
  const { version, signal, limitMs = 60_000, provesMs = 5_000, intervalMs = 500 } = options;
  const endMs = performance.now() + limitMs;
  let serving: { pid: number; sinceMs: number } | undefined;
  for (;;) {
    const state = await serviceState(machine.run);
    const found = await servingPid(state, options);
    signal?.throwIfAborted();
    if (state && state.restarts >= MAX_RESTARTS) {
      throw new UserError(`${version} ended ${state.restarts} times.`);
    }
    const nowMs = performance.now();
    if (typeof found === "string") serving = undefined;
    else if (serving?.pid !== found) serving = { pid: found, sinceMs: nowMs };
    if (serving && nowMs - serving.sinceMs >= provesMs) return;
    if (nowMs >= endMs) {
      const why = typeof found === "string" ? found : "it is started again and again";
      throw new UserError(`${version} did not serve within ${limitMs / 1_000} s: ${why}.`);
    }
    await delay(intervalMs);
  }
}

/** The process that runs and serves; else what is wrong. */
async function servingPid(
  state: ServiceState | undefined,
  options: ProofOptions,
): Promise<number | string> {
  if (state?.active !== "active") return `the service is ${state?.active} (${state?.sub})`;
  const { ask = askAgent } = options;
  const asked = await ask(options.sockets, "/status", 5_000);
  if (asked.outcome !== "answered" || !asked.ok) return "the agent does not answer on its socket";
  const status = AgentStatus.pick({ version: true, pid: true }).safeParse(jsonOf(asked.text));
  if (!status.success) return "the agent's answer cannot be read";
  const { version, pid } = status.data;
  if (version !== options.version) return `version ${version} runs`;
  return pid === state.pid ? pid : `process ${pid} serves in place of the service's`;
}
