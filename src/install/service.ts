import { delay } from "@std/async";
import { SERVICE } from "../system/paths.ts";
import { isRunning, type ServiceState, serviceState } from "../system/systemd.ts";
import { UserError } from "../system/user_error.ts";
import { type Machine, must } from "./machine.ts";
import type { Step } from "./steps.ts";

/** Lines of the log that are shown when the service does not become healthy. */
const LOG_LINES = 12;

/** What {@linkcode service} is told. */
export interface ServiceOptions {
  /** Shows the end of the service's log to the person. */
  showLog: (lines: string[]) => void;
  /** Ends the wait early. */
  signal: AbortSignal;
  /** The service is given so long to become healthy, in milliseconds. */
  limitMs?: number;
  /** Pause between two looks, in milliseconds. */
  intervalMs?: number;
}

/** Has systemd start the service, now and with the machine, and waits until the agent is healthy. */
export function service(machine: Machine, options: ServiceOptions): Step {
  const { run } = machine;
  return {
    name: "Service",
    ends: "service_started",
    async run(undos, changedBefore) {
      const before = await serviceState(run);
      const ran = isRunning(before);
      const enabled = before?.enabled === "enabled";
      if (enabled && !changedBefore && await problemOfService(machine) === undefined) {
        return { told: "running and healthy", changed: false };
      }
      if (ran) undos.addLast("the service runs as before", () => restart(machine));
      else undos.add("start of the service", () => must(run, "systemctl", "stop", SERVICE));
      if (!enabled) {
        undos.add(
          "start at boot",
          () => must(run, "systemctl", "disable", "--quiet", SERVICE),
        );
      }
      await must(run, "systemctl", "enable", "--quiet", SERVICE);
      try {
        await restart(machine);
        await becomesHealthy(machine, options);
      } catch (error) {
        options.showLog(await lastLines(machine));
        throw error;
      }
      return { told: `${ran ? "restarted" : "started"} and healthy`, changed: true };
    },
  };
}

async function restart({ run }: Machine): Promise<void> {
  // One that has often failed would begin with a pause.
  await run("systemctl", "reset-failed", SERVICE);
  await must(run, "systemctl", "restart", SERVICE);
}

async function becomesHealthy(machine: Machine, options: ServiceOptions): Promise<void> {
  const { signal, limitMs = 60_000, intervalMs = 1_000 } = options;
  const endMs = performance.now() + limitMs;
  for (;;) {
    const problem = await problemOfService(machine);
    signal.throwIfAborted();
    if (problem === undefined) return;
    if (performance.now() >= endMs) {
      throw new UserError(`The service was not healthy within ${limitMs / 1_000} s: ${problem}`);
    }
    await delay(intervalMs);
  }
}

/** What is wrong with the service; undefined when it is healthy. */
async function problemOfService({ run, places }: Machine): Promise<string | undefined> {
  const state: ServiceState | undefined = await serviceState(run);
  if (state?.active !== "active") return `it is ${state?.active} (${state?.sub}).`;
  const config = `NODERAX_CONFIG_FILE=${places.config}`;
  const check = await run("env", config, places.program, "status", "--check");
  return check.code === 0 ? undefined : check.stdout || check.stderr;
}

async function lastLines({ run }: Machine): Promise<string[]> {
  const what = ["--unit", SERVICE, "--lines", String(LOG_LINES)];
  const { stdout } = await run("journalctl", "--quiet", "--no-pager", "--output=cat", ...what);
  return stdout.split("\n").filter(Boolean);
}
