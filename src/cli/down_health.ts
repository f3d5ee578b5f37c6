import type { Health } from "../health/verdict.ts";
import { isRunning, type ServiceState } from "../system/systemd.ts";
import { PROGRAM } from "./output.ts";

/**
 * The verdict on an agent that does not run; `service` is what systemd says of the one that it would
 * be, undefined where it would be none.
 */
export function downHealth(service: ServiceState | undefined): Health {
  const down = (what: string, fix: string): Health => ({
    state: "unhealthy",
    code: "not_running",
    what,
    ...(service?.since ? { since: service.since.toISOString() } : {}),
    fix,
  });
  if (!service) return down("the agent does not run", `${PROGRAM} run`);
  const { load, active, result, restarts, lastExit } = service;
  if (load === "not-found") {
    return down("the service is not installed", `sudo ${PROGRAM} install`);
  }
  if (load !== "loaded") {
    return down(`the unit of the service is ${load}`, `systemctl cat ${PROGRAM}`);
  }
  const how = lastExit === undefined ? "" : `; its last exit: ${lastExit}`;
  const failed = !["success", ""].includes(result);
  if (active === "inactive" && !failed) {
    return down("the service is stopped", `sudo ${PROGRAM} start`);
  }
  const reason = failed && result !== "exit-code" && result !== "signal" ? ` (${result})` : "";
  const again = restarts > 0
    ? `the service fails again and again: systemd has started it again ${times(restarts)}`
    : isRunning(service)
    ? "the service is not up yet"
    : "the service has failed";
  return down(`${again}${how}${reason}`, `sudo ${PROGRAM} doctor finds the cause`);
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}
