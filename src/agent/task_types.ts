import { logScan } from "../log_scan/log_scan.ts";
import { packageChange, packageList, packageSearch } from "../packages/package_tasks.ts";
import { Mutex } from "../system/mutex.ts";
import { shellExec } from "../tasks/shell_exec.ts";
import type { TaskType } from "../tasks/task_type.ts";

const packageChanges = new Mutex();

/** Every task type this agent knows, by its name in the contract. */
export const TASK_TYPES: ReadonlyMap<string, TaskType> = new Map([
  ["shell.exec", shellExec],
  ["log.scan", logScan],
  ["packageList", packageList],
  ["packageSearch", packageSearch],
  ["packageInstall", packageChange("install", packageChanges)],
  ["packageRemove", packageChange("remove", packageChanges)],
  ["packagePurge", packageChange("purge", packageChanges)],
]);
