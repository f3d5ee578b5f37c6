import { SERVICE, SLICE } from "../system/paths.ts";
import { type UnitProperty, unitProperty } from "../system/service_manager.ts";
import { signalNumber } from "../system/signal_number.ts";
import { exportsOf, quoted } from "./shell_text.ts";

/** What a unit may take from TERM to KILL when somebody else stops it, in microseconds. */
const STOP_US = 5_000_000;
/** As many files as a task could have open as a child of the agent. */
const MAX_FILES = 65_536;
/** systemd's levels of what a unit may log of itself: warnings, and no "Started …" for each task. */
const LOG_WARNINGS = 4;

/** What of the machine a unit may take; what is not said is not bounded. */
export interface UnitLimits {
  /** Processes and threads. */
  pids?: number | undefined;
  /** Bytes of memory. */
  memoryBytes?: number | undefined;
  /** Its share of the processors, where 100 is everybody's. */
  cpuWeight?: number | undefined;
}

/** What a unit is started with that every user of the machine may know. */
export interface UnitStart {
  /** What it is, without any secret. */
  description: string;
  /** The login name of who runs it; home, groups and environment are that user's. */
  user: string;
  /** Its bounds. */
  limits?: UnitLimits;
  /** Whether the agent's own unit is being stopped: one that is before it would not start until then. */
  isLate?: boolean;
}

/**
 * The properties of the slice that all units of work are in. It counts by itself: else systemd would set
 * up the control groups of the whole machine anew with the first unit in it, and after the last.
 */
export const SLICE_PROPERTIES: readonly UnitProperty[] = [
  unitProperty("Description", "s", "Work of the Noderax agent"),
  unitProperty("CPUAccounting", "b", true),
  unitProperty("MemoryAccounting", "b", true),
  unitProperty("TasksAccounting", "b", true),
  unitProperty("CPUWeight", "t", 100),
];

/**
 * The properties that every unit of work has. At a shutdown the agent is stopped before it, so that
 * it can end and report it in its own time. It stays when its main process has ended in whatever way,
 * so that systemd tells how.
 */
export function unitProperties(
  { description, user, limits = {}, isLate = false }: UnitStart,
): UnitProperty[] {
  const { pids, memoryBytes, cpuWeight } = limits;
  return [
    unitProperty("Description", "s", description),
    unitProperty("Slice", "s", SLICE),
    // What every service has, but for sysinit.target, which is there: with it each start would have
    // systemd look through all that a boot needs.
    unitProperty("DefaultDependencies", "b", false),
    unitProperty("Conflicts", "as", ["shutdown.target"]),
    unitProperty("Before", "as", ["shutdown.target", ...isLate ? [] : [SERVICE]]),
    unitProperty("CollectMode", "s", "inactive-or-failed"),
    unitProperty("RemainAfterExit", "b", true),
    unitProperty("LogLevelMax", "i", LOG_WARNINGS),
    unitProperty("User", "s", user),
    unitProperty("WorkingDirectory", "s", "-~"),
    unitProperty("UMask", "u", 0o022),
    unitProperty("KillMode", "s", "control-group"),
    unitProperty("TimeoutStopUSec", "t", STOP_US),
    unitProperty("IgnoreSIGPIPE", "b", false),
    unitProperty("OOMScoreAdjust", "i", 0),
    unitProperty("OOMPolicy", "s", "continue"),
    unitProperty("LimitNOFILE", "t", MAX_FILES),
    unitProperty("CPUAccounting", "b", true),
    unitProperty("MemoryAccounting", "b", true),
    unitProperty("TasksAccounting", "b", true),
    ...pids === undefined ? [] : [unitProperty("TasksMax", "t", pids)],
    ...memoryBytes === undefined ? [] : [unitProperty("MemoryMax", "t", memoryBytes)],
    ...cpuWeight === undefined ? [] : [unitProperty("CPUWeight", "t", cpuWeight)],
  ];
}

/**
 * The signal by which a launch ends that was told nothing, or not all: Linux has it, and nothing sends
 * it. An exit code would be some command's own as well.
 */
export const NOT_LAUNCHED = "SIGSTKFLT";

/**
 * Runs what the text on its standard input says, without a process of its own to read it: one that is
 * cut off has not come to its end, or ends the shell. A unit's process has a group of its own, and the
 * signal is for that: systemd escapes each `$` and `;` once more when it reads its units anew.
 */
export const LAUNCH: readonly string[] = [
  "/bin/sh",
  "-c",
  `trap 'kill -${signalNumber(NOT_LAUNCHED)} 0' EXIT
. /proc/self/fd/0`,
];

/**
 * The program of a unit: whatever its end is, the unit outlives it. `ExecStartEx` would say that more
 * clearly, but systemd 252 forgets such a unit's end when it executes itself anew.
 */
export const EXEC_LAUNCH: UnitProperty = unitProperty("ExecStart", "a(sasb)", [
  ["/bin/sh", LAUNCH, true],
]);

/** What systemd tells a unit of itself: who finds it takes itself for a service. */
const OF_UNIT = ["INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID"];

/**
 * The text for {@linkcode LAUNCH}: arguments and environment are secret, and properties are not. Who
 * runs it must be able to open anew what it is read from. The outputs are opened anew as well, for
 * writing alone: those of the unit can be read.
 */
export function launchText(argv: readonly string[], env: Record<string, string>): string {
  const words = argv.map(quoted).join(" ");
  return `unset ${OF_UNIT.join(" ")}
${exportsOf(env)}
{ set -- ${words}; trap - EXIT; exec "$@" </dev/null >/proc/self/fd/1 2>/proc/self/fd/2; }
`;
}
