import { SERVICE } from "./paths.ts";
import { type RunTool, runTool } from "./tool.ts";

/** What systemd says of the agent's service. */
export interface ServiceState {
  /** Whether there is a unit: `loaded`, `not-found`, `bad-setting`, … */
  load: string;
  /** Whether it runs: `active`, `activating`, `inactive`, `failed`, … */
  active: string;
  /** The same more closely: `running`, `auto-restart`, `dead`, … */
  sub: string;
  /** Whether it starts with the machine: `enabled`, `disabled`, …; "" without a unit. */
  enabled: string;
  /** When it got into this state; undefined if it never was in another. */
  since: Date | undefined;
  /** The process id of the agent; 0 when none runs. */
  pid: number;
  /** What systemd calls this start of it; "" when none runs. */
  invocation: string;
  /** How often systemd has started it again by itself. */
  restarts: number;
  /** How it ended last: `success`, `exit-code`, `signal`, `watchdog`, … */
  result: string;
  /** How the agent's process ended last, such as `exit code 1`; undefined where it never did. */
  lastExit: string | undefined;
}

const PROPERTIES = {
  load: "LoadState",
  active: "ActiveState",
  sub: "SubState",
  enabled: "UnitFileState",
  since: "StateChangeTimestamp",
  pid: "MainPID",
  invocation: "InvocationID",
  restarts: "NRestarts",
  result: "Result",
  exitKind: "ExecMainCode",
  exitStatus: "ExecMainStatus",
} as const;

/** What systemd calls the ways in which a process ends (`CLD_EXITED` and its like). */
const EXITS: Record<string, string> = { "1": "exit code", "2": "signal", "3": "signal" };

/** States in which the agent runs, or is about to: one that fails again and again is "activating". */
const RUNNING = ["active", "activating", "reloading"];

/** Whether the service runs, or is about to. */
export function isRunning(state: ServiceState | undefined): boolean {
  return state !== undefined && RUNNING.includes(state.active);
}

/** Asks systemd for the service's state; undefined where systemd does not run the machine. */
export async function serviceState(run: RunTool = runTool): Promise<ServiceState | undefined> {
  const names = Object.values(PROPERTIES).join(",");
  const shown = await run("systemctl", "show", SERVICE, `--property=${names}`);
  if (shown.code !== 0) return undefined;
  const values = new Map(
    shown.stdout.split("\n").map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  const value = (property: keyof typeof PROPERTIES) => values.get(PROPERTIES[property]) ?? "";
  // Its option --timestamp=unix is younger than many machines.
  const [, day, time] = /(\S+) (\S+) UTC$/.exec(value("since")) ?? [];
  return {
    load: value("load"),
    active: value("active"),
    sub: value("sub"),
    enabled: value("enabled"),
    since: day && time ? new Date(`${day}T${time}Z`) : undefined,
    pid: Number(value("pid")) || 0,
    invocation: value("invocation"),
    restarts: Number(value("restarts")) || 0,
    result: value("result"),
    lastExit: EXITS[value("exitKind")] && `${EXITS[value("exitKind")]} ${value("exitStatus")}`,
  };
}
