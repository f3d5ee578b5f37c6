import { SETTABLE } from "../hosts/shell_text.ts";

/** One that is none of them, to see what a shell makes of such. */
const PROBE = "noderax.probe=passed";
/** How the names of variables begin that carry others. */
const PACKED = "AGENT_VARIABLE_";

/** The names of variables that no shell can set, such as `spring.datasource.url`. */
export function unnameable(environment: Record<string, string>): string[] {
  return Object.keys(environment).filter((name) => !SETTABLE.test(name));
}

/** The names under which those that are {@linkcode unnameable} come, of which none is in use. */
export function packedNames(environment: Record<string, string>): Map<string, string> {
  const names = new Map<string, string>();
  let at = 0;
  for (const name of unnameable(environment)) {
    while (Object.hasOwn(environment, `${PACKED}${at}`)) at++;
    names.set(name, `${PACKED}${at++}`);
  }
  return names;
}

/**
 * The environment as the shells on the way to the command's take it: they would drop what they cannot
 * name, which comes as the values of variables that they can, for {@linkcode unpacking}.
 */
export function packed(environment: Record<string, string>): Record<string, string> {
  const names = packedNames(environment);
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => {
      const packedName = names.get(name);
      return packedName === undefined ? [name, value] : [packedName, `${name}=${value}`];
    }),
  );
}

/**
 * Starts a program with what was {@linkcode packed}. It is `env` that sets it, and its arguments can be
 * seen by everybody for the moment that it takes; until then the values are in the environment alone.
 */
export function unpacking(environment: Record<string, string>, argv: string[]): string[] {
  const names = [...packedNames(environment).values()];
  if (names.length === 0) return argv;
  const words = names.map((name) => `"$${name}"`).join(" ");
  const script = `set -- ${words} "$@"\nunset ${names.join(" ")}\nexec /usr/bin/env -- "$@"`;
  return ["/bin/sh", "-c", script, "sh", ...argv];
}

/** What shows whether a shell hands on to programs what it cannot name: see {@linkcode isPassed}. */
export function probing(shell: string): string[] {
  return ["/usr/bin/env", "-i", PROBE, shell, "-c", "/usr/bin/env"];
}

/** Whether what {@linkcode probing} has printed says that it does. */
export function isPassed(stdout: string): boolean {
  return stdout.split("\n").includes(PROBE);
}
