import { isNoSuchUnit, type ServiceManager } from "../system/service_manager.ts";
import { signalOf } from "../system/signal_number.ts";

/** What `ExecMainCode` says of a process that has exited by itself (`CLD_EXITED`). */
const EXITED = 1;

/** How the main process of a unit ended. */
export interface MainEnd {
  /** The exit code, 128 + n after signal n; undefined where systemd has forgotten it. */
  code: number | undefined;
  /** The signal that ended it, if one did. */
  signal: string | undefined;
}

/** How a main process has ended, by the properties `ExecMainCode` and `ExecMainStatus`. */
export function mainEndBy(code: number, status: number): MainEnd | undefined {
  if (code === 0) return undefined;
  if (code === EXITED) return { code: status, signal: undefined };
  return { code: 128 + status, signal: signalOf(status) };
}

/** How the main process of a unit has ended; undefined while it runs. */
export async function mainEndOf(
  manager: Pick<ServiceManager, "property">,
  unit: string,
): Promise<MainEnd | undefined> {
  try {
    const of = (name: string) => manager.property(unit, "Service", name).then(Number);
    const [code, status, active] = await Promise.all([
      of("ExecMainCode"),
      of("ExecMainStatus"),
      manager.property(unit, "Unit", "ActiveState"),
    ]);
    const isGone = active === "inactive" || active === "failed";
    return mainEndBy(code, status) ?? (isGone ? { code: undefined, signal: undefined } : undefined);
  } catch (error) {
    // Somebody else has stopped it.
    if (isNoSuchUnit(error)) return { code: undefined, signal: undefined };
    throw error;
  }
}
