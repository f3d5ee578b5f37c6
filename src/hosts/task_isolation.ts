import { join } from "@std/path";
import { bytesOfBound } from "../config/mod.ts";
import type { Logger } from "../system/logger.ts";
import { enforcesSelinux, isLockedDown } from "../system/sandbox.ts";
import { runtimeFolderOf } from "../system/paths.ts";
import { ServiceManager } from "../system/service_manager.ts";
import { UserError } from "../system/user_error.ts";
import { passedOn } from "./agent_environment.ts";
import { childHost } from "./child_host.ts";
import type { Host } from "./host.ts";
import { UnitHost } from "./unit_host.ts";

/** Where tasks run, as it was found out at the start. */
export interface TaskIsolation extends Disposable {
  /** The host of tasks. */
  host: Host;
  /** systemd, where it is in reach. */
  manager: ServiceManager | undefined;
  /** Whether tasks run in units, and outlive the agent. */
  outlivesAgent: boolean;
  /** Why they do not, where they could have been wished to. */
  why: string | undefined;
}

/** What {@linkcode isolateTasks} needs to know. */
export interface IsolationOptions {
  /** The word of the configuration. */
  wanted: "auto" | "unit" | "child";
  /** Reads the environment as it was at the start. */
  env: (name: string) => string | undefined;
  /** The bounds of tasks as they are configured now. */
  limits: () => { taskPidsMax: number; taskMemoryMax: string; taskCpuWeight: number };
  /** The agent's log. */
  logger: Logger;
}

/**
 * Chooses where tasks run, and says so in one line of the log.
 *
 * @throws {UserError} where units are demanded and there can be none, and where there are none now
 * for a service that is locked down: as its children tasks could do next to nothing, and the next
 * start may find systemd in order.
 */
export async function isolateTasks(options: IsolationOptions): Promise<TaskIsolation> {
  const { wanted, logger } = options;
  const { host, manager, problem, mayPass } = await unitHost(options);
  if (problem !== undefined && (wanted === "unit" || mayPass && isLockedDown())) {
    manager?.[Symbol.dispose]();
    throw new UserError(
      wanted === "unit"
        ? `task_isolation is "unit", but tasks cannot run in units: ${problem}. Set it to "auto".`
        : `tasks cannot run in units: ${problem}. The service is locked down, so they need them: ` +
          'see what systemd does, or set task_isolation to "child" and run ' +
          "`sudo noderax-agent install`.",
    );
  }
  const outlivesAgent = problem === undefined;
  const why = outlivesAgent ? undefined : problem;
  if (outlivesAgent) logger.info("tasks run in units of systemd's", { slice: "noderax.slice" });
  else logger.info("tasks run as children of the agent", { why });
  const dispose = () => manager?.[Symbol.dispose]();
  return { host, manager, outlivesAgent, why, [Symbol.dispose]: dispose };
}

/** The host of units, also for those that are to be taken up alone; or why there is none. */
async function unitHost({ wanted, env, limits }: IsolationOptions) {
  const none = (problem: string, mayPass = false) => {
    return { host: childHost, manager: undefined, problem, mayPass };
  };
  const runtimeFolder = runtimeFolderOf(env);
  if (!runtimeFolder || !env("INVOCATION_ID")) return none("systemd has not started the agent");
  const manager = await ServiceManager.reach();
  if (typeof manager === "string") return none(manager, true);
  const unitOptions = {
    ...{ manager, children: childHost, environment: passedOn(env) },
    folder: join(runtimeFolder, "tasks"),
    limits: () => {
      const { taskPidsMax: pids, taskMemoryMax, taskCpuWeight: cpuWeight } = limits();
      const memoryBytes = bytesOfBound(taskMemoryMax, Deno.systemMemoryInfo().total);
      return { pids, memoryBytes, cpuWeight };
    },
  };
  const children = (problem: string, mayPass = false) => {
    return {
      host: new UnitHost({ ...unitOptions, startsUnits: false }),
      manager,
      problem,
      mayPass,
    };
  };
  if (wanted === "child") return children("task_isolation is child");
  if (wanted === "auto" && enforcesSelinux()) return children("SELinux lets systemd have no pipes");
  const host = new UnitHost({ ...unitOptions, startsUnits: true });
  const problem = await host.probe();
  if (problem !== undefined) return children(problem, true);
  return { host, manager, problem, mayPass: false };
}
