import { TASK_ID_VARIABLE } from "../process/process_table.ts";
import { CONFIG_KEYS, type ReadEnv } from "../config/mod.ts";

const OWN_NAMES = [
  // An agent that a task has started is none of that task's processes.
  TASK_ID_VARIABLE,
  "NODERAX_CONFIG_FILE",
  "NODERAX_CONFIG_MIRROR_FILE",
  ...CONFIG_KEYS.flatMap((row) => row.env),
];

/** The part of a process's environment that {@linkcode takeEnvironment} uses. */
export type Environment = Pick<Deno.Env, "get" | "delete">;

/**
 * Takes the agent's own variables, its secrets among them, out of the process's environment, so
 * that no task inherits them. The returned function still reads them as they were.
 */
export function takeEnvironment(environment: Environment = Deno.env): ReadEnv {
  const taken = new Map(OWN_NAMES.map((name) => [name, environment.get(name)]));
  for (const name of OWN_NAMES) environment.delete(name);
  return (name) => taken.has(name) ? taken.get(name) : environment.get(name);
}
