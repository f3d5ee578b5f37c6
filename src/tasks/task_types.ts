import { shellExec } from "./shell_exec.ts";
import type { TaskType } from "./task_type.ts";

/** Every task type this agent knows, by its name in the contract. */
export const TASK_TYPES: ReadonlyMap<string, TaskType> = new Map([
  ["shell.exec", shellExec],
]);
