import { delay } from "@std/async";
import type { ServiceManager } from "../system/service_manager.ts";

/** How long processes may take to leave after SIGTERM, in milliseconds. */
const GRACE_MS = 5_000;
/** How long to go on killing what SIGKILL did not end at once, in milliseconds. */
const KILL_MS = 5_000;
const FIRST_LOOK_MS = 5;
const MAX_LOOK_MS = 250;
const [SIGKILL, SIGTERM] = [9, 15];

/** What ends the processes of a unit. */
type Ender = Pick<ServiceManager, "kill" | "processes">;

/**
 * Ends every process of a unit: TERM, up to `graceMs` of grace, KILL. The unit stays. Resolves with
 * the number of those that not even SIGKILL could end: nothing leaves its control group, whatever it
 * does.
 */
export async function endUnit(
  manager: Ender,
  unit: string,
  graceMs = GRACE_MS,
  signal = SIGTERM,
): Promise<number> {
  await manager.kill(unit, "all", signal);
  if (await areGone(manager, unit, graceMs)) return 0;
  await areGone(manager, unit, KILL_MS, () => manager.kill(unit, "all", SIGKILL));
  return (await manager.processes(unit)).length;
}

/** Waits until a unit has no processes, for so long at most; whether it has none. */
export async function areGone(
  manager: Pick<ServiceManager, "processes">,
  unit: string,
  limitMs: number,
  each: () => Promise<void> = async () => {},
): Promise<boolean> {
  const endMs = performance.now() + limitMs;
  for (let pauseMs = FIRST_LOOK_MS;; pauseMs = Math.min(2 * pauseMs, MAX_LOOK_MS)) {
    if ((await manager.processes(unit)).length === 0) return true;
    if (performance.now() >= endMs) return false;
    await each();
    await delay(pauseMs);
  }
}
