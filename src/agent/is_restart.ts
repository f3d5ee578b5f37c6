import { within } from "../system/deadline.ts";
import { SERVICE } from "../system/paths.ts";
import type { ServiceManager } from "../system/service_manager.ts";

/**
 * How long systemd may take to say it, in milliseconds: it is at work on this very job, but may have
 * begun to read all units again, or to execute itself anew.
 */
const ASK_MS = 10_000;

/**
 * Whether the agent is to leave because another one comes at once, and not for good. SIGTERM does not
 * say it, but the job does that systemd runs for the service: a stop is one, a shutdown as well;
 * whoever signals without a job, or restarts, has systemd start the next agent. Without systemd, or
 * its word, it is for good.
 */
export async function isRestart(
  signal: string,
  manager: Pick<ServiceManager, "jobType" | "managerProperty"> | undefined,
): Promise<boolean> {
  if (!manager || signal !== "SIGTERM") return false;
  try {
    const asked = [manager.jobType(SERVICE), manager.managerProperty("SystemState")] as const;
    const [job, state] = await within(Promise.all(asked), ASK_MS);
    return state !== "stopping" && job !== "stop";
  } catch {
    return false;
  }
}
