import { delay } from "@std/async";
import { BusError } from "../system/sd_bus.ts";
import type { ServiceManager } from "../system/service_manager.ts";

/** How long processes may take to leave after SIGTERM, in milliseconds. */
const GRACE_MS = 5_000;
/** How long to go on killing what SIGKILL did not end at once, in milliseconds. */
const KILL_MS = 5_000;
const FIRST_LOOK_MS = 5;
const MAX_LOOK_MS = 250;
const [SIGKILL, SIGTERM] = [9, 15];

/** What systemd says where it does not count. */
const UNKNOWN = 2n ** 64n - 1n;

/** What tells of the processes of a unit. */
type Teller = Pick<ServiceManager, "property" | "processes">;
/** What ends them. */
type Ender = Teller & Pick<ServiceManager, "kill">;

/**
 * Ends every process of a unit: TERM, up to `graceMs` of grace, KILL; without grace there is no TERM,
 * which systemd would send for as long as there are new ones. The unit stays. Resolves with
 * the number of those that not even SIGKILL could end: nothing leaves its control group, whatever it
 * does.
 */
export async function endUnit(
  manager: Ender,
  unit: string,
  graceMs = GRACE_MS,
  signal = SIGTERM,
): Promise<number> {
  if (graceMs > 0) await manager.kill(unit, "all", signal);
  if (await areGone(manager, unit, graceMs)) return 0;
  await areGone(manager, unit, KILL_MS, () => manager.kill(unit, "all", SIGKILL));
  return (await manager.processes(unit)).length;
}

/** Waits until a unit has no processes, for so long at most; whether it has none. */
export async function areGone(
  manager: Teller,
  unit: string,
  limitMs: number,
  each: () => Promise<void> = async () => {},
): Promise<boolean> {
  const endMs = performance.now() + limitMs;
  for (let pauseMs = FIRST_LOOK_MS;; pauseMs = Math.min(2 * pauseMs, MAX_LOOK_MS)) {
    if (await hasNone(manager, unit)) return true;
    if (performance.now() >= endMs) return false;
    await each();
    await delay(pauseMs);
  }
}

/**
 * Whether a unit has no processes: its control group goes with the last one. A list of them is asked
 * for where nobody counts them alone: of thousands it keeps systemd and the agent busy.
 */
export async function hasNone(manager: Teller, unit: string): Promise<boolean> {
  try {
    if (await manager.property(unit, "Service", "ControlGroup") === "") return true;
    const count = await manager.property(unit, "Service", "TasksCurrent");
    if (typeof count === "bigint" && count !== UNKNOWN) return count === 0n;
  } catch (error) {
    if (!(error instanceof BusError)) throw error;
  }
  return (await manager.processes(unit)).length === 0;
}
