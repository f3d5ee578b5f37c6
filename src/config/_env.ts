/** Reads one environment variable. */
export type ReadEnv = (name: string) => string | undefined;

/** The process's own environment; name by name, as its permissions list names. */
export function processEnv(name: string): string | undefined {
  return Deno.env.get(name);
}

/** The variable's value; an empty one counts as unset. */
export function readSet(env: ReadEnv, name: string): string | undefined {
  const value = env(name);
  return value === undefined || value.trim() === "" ? undefined : value;
}
