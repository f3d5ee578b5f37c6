import { endUnit } from "../hosts/end_unit.ts";
import { pipesOf, TASK_UNITS, taskOfUnit } from "../hosts/unit_host.ts";
import { INSTALLED } from "../system/paths.ts";
import { ServiceManager } from "../system/service_manager.ts";
import { EXIT_FAILED, EXIT_USAGE, UserError } from "../system/user_error.ts";
import { complain, print, PROGRAM } from "./output.ts";
import { requireRoot } from "./require_root.ts";

const RUNNING_TASKS = `${INSTALLED.runtimeFolder}/tasks`;

/**
 * Lists the units of tasks with their processes: those that run, and those of which something lives
 * on. With `kill` and a task it ends all that is left of it. Gives the exit code.
 */
export async function tasks(action: string | undefined, task: string | undefined): Promise<number> {
  const isKill = action === "kill" && task !== undefined;
  if (action !== undefined && !isKill) {
    complain(`Usage: ${PROGRAM} tasks [kill ID]`);
    return EXIT_USAGE;
  }
  await requireRoot();
  const manager = ServiceManager.open();
  if (typeof manager === "string") throw new UserError(`There are no units of tasks: ${manager}.`);
  using _manager = manager;
  return await (isKill ? kill(manager, task) : list(manager));
}

async function list(manager: ServiceManager): Promise<number> {
  const units = await manager.units(TASK_UNITS);
  if (units.length === 0) print("No task runs in a unit.\n");
  for (const { name, sub } of units) {
    const pids = await manager.processes(name);
    const state = sub === "exited" ? "its program has ended" : sub;
    const count = pids.length === 1 ? "1 process" : `${pids.length} processes`;
    print(
      `${taskOfUnit(name)}  ${state}, ${count}${pids.length > 0 ? `: ${pids.join(" ")}` : ""}\n`,
    );
  }
  return 0;
}

async function kill(manager: ServiceManager, task: string): Promise<number> {
  const units = (await manager.units(TASK_UNITS)).filter(({ name }) => taskOfUnit(name) === task);
  if (units.length === 0) throw new UserError(`Nothing is left of a task ${task}.`);
  let left = 0;
  for (const { name, sub } of units) {
    left += await endUnit(manager, name);
    // The agent wants to know how the program of a running task ended.
    if (sub !== "exited") continue;
    await manager.stop(name);
    await Deno.remove(pipesOf(name, RUNNING_TASKS), { recursive: true }).catch(() => {});
  }
  if (left === 0) return 0;
  complain(`${left} processes could not be ended.`);
  return EXIT_FAILED;
}
