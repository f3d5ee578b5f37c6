import { relative } from "@std/path";
import { TASK_ID_VARIABLE } from "../hosts/process_table.ts";
import { CONFIG_KEYS, type ReadEnv } from "../config/mod.ts";
import { INSTALLED } from "../system/paths.ts";

/** The agent's own besides what {@linkcode OWN_PREFIXES} cover. */
const OWN_NAMES = [
  // An agent that a task has started is none of that task's processes.
  TASK_ID_VARIABLE,
  // Set by the launcher for Deno alone.
  "DENO_DIR",
  "DENO_DISABLE_NODE_SHIM",
  "DENO_LOG",
  "DENO_NO_UPDATE_CHECK",
  "DENO_V8_FLAGS",
  // Set by systemd for the service alone: a task must not speak in its name.
  "CACHE_DIRECTORY",
  "INVOCATION_ID",
  "JOURNAL_STREAM",
  "LISTEN_FDNAMES",
  "LISTEN_FDS",
  "LISTEN_PID",
  "NOTIFY_SOCKET",
  "RUNTIME_DIRECTORY",
  "STATE_DIRECTORY",
  "SYSTEMD_EXEC_PID",
  "WATCHDOG_PID",
  "WATCHDOG_USEC",
  ...CONFIG_KEYS.flatMap((row) => row.env),
];
/** Its own settings, and those of Deno's exporter, which may hold credentials. */
const OWN_PREFIXES = ["NODERAX_", "OTEL_"];

/** The part of a process's environment that {@linkcode takeEnvironment} uses. */
export type Environment = Pick<Deno.Env, "get" | "delete" | "toObject">;

/** Whether TMPDIR is for the agent alone, as its service has it: within a folder for its state. */
function hasOwnTemp(environment: Environment): boolean {
  const [state, temp] = [environment.get("STATE_DIRECTORY"), environment.get("TMPDIR")];
  if (!state || !temp) return false;
  return state.split(":").some((folder) => !relative(folder, temp).startsWith(".."));
}

/**
 * Takes the agent's own variables, its secrets among them, out of the process's environment, so
 * that no task inherits them. The returned function still reads them as they were.
 */
export function takeEnvironment(environment: Environment = Deno.env): ReadEnv {
  const prefixed = Object.keys(environment.toObject()).filter((name) =>
    OWN_PREFIXES.some((prefix) => name.startsWith(prefix))
  );
  const names = [...OWN_NAMES, ...prefixed, ...hasOwnTemp(environment) ? ["TMPDIR"] : []];
  const taken = new Map(names.map((name) => [name, environment.get(name)]));
  for (const name of names) environment.delete(name);
  return (name) => taken.has(name) ? taken.get(name) : environment.get(name);
}

/** What an administrator gives the service, as its unit names it. */
const FILE = `${INSTALLED.configFolder}/environment`;
/** What Deno's network goes by; it reads them from the process. */
const NETWORK = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"]
  .flatMap((name) => [name, name.toLowerCase()]).concat("DENO_TLS_CA_STORE");

/** The environment that the service is started with, of which a shell knows nothing. */
export async function serviceEnvironment(
  file: string = FILE,
  config: string = INSTALLED.config,
): Promise<ReadEnv> {
  // It need not be there.
  const text = await Deno.readTextFile(file).catch(() => "");
  const values = new Map([["NODERAX_CONFIG_FILE", config]]);
  for (const line of text.split("\n")) {
    const [, name, value = ""] = /^\s*([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name) values.set(name, value.replace(/^(["'])(.*)\1$/, "$2"));
  }
  return (name) => values.get(name);
}

/** Has the network of this process go the way that `env` says until it is disposed of. */
export function networkAs(env: ReadEnv): Disposable {
  const own = new Map(NETWORK.map((name) => [name, Deno.env.get(name)]));
  setAll(env);
  return { [Symbol.dispose]: () => setAll((name) => own.get(name)) };
}

function setAll(env: ReadEnv): void {
  for (const name of NETWORK) {
    const value = env(name);
    if (value === undefined) Deno.env.delete(name);
    else Deno.env.set(name, value);
  }
}
