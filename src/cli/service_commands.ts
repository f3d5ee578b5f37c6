import { loadConfig, type ReadEnv } from "../config/mod.ts";
import { requireControlPlane } from "../control_plane/api_answer.ts";
import { askAgent, socketPaths } from "../health/status_client.ts";
import { INSTALLED, SERVICE } from "../system/paths.ts";
import { type ServiceState, serviceState } from "../system/systemd.ts";
import { type RunTool, runTool } from "../system/tool.ts";
import { EXIT_FAILED, messageOf, UserError } from "../system/user_error.ts";
import { ENTRY_OPTIONS, type JournalEntry, MainProcesses, parseEntry } from "./service_journal.ts";
import { complain, print, PROGRAM } from "./output.ts";
import { clock, Progress } from "./progress.ts";
import { requireRoot } from "./require_root.ts";
import { networkAs, serviceEnvironment } from "./environment.ts";

/** What can be done to the service. */
export type ServiceAction = "start" | "stop" | "restart";

/** Lines of the log that are shown when the service did not do what it was told. */
const LINES_AFTER_FAILURE = 10;
/** How long the running agent may take to tell how it is, in milliseconds. */
const ANSWER_LIMIT_MS = 3_000;

/**
 * Starts, stops or restarts the installed service; gives the exit code. A service that works is not
 * given up for a start that must fail, unless it is forced.
 */
export async function service(
  action: ServiceAction,
  { force = false }: { force?: boolean } = {},
  run: RunTool = runTool,
): Promise<number> {
  await requireRoot();
  const { active } = await installedService(run);
  if (action === "restart" && active === "active" && !force) {
    await requireStartable(await serviceEnvironment(), await isHealthy() ? undefined : complain);
  }
  return tell(await changeService(action, run));
}

/**
 * Reads the configuration of the service and asks its control plane, as the agent does at its start.
 * `warn` hears of what may be an outage, which a restart makes no worse; without it that is thrown as
 * well, as a service that works is not given up for an address that does not answer.
 *
 * @throws {UserError} that says why the service would not work, and that it was left alone.
 */
export async function requireStartable(
  env: ReadEnv,
  warn?: (sentence: string) => void,
): Promise<void> {
  try {
    const loaded = await loadConfig({ env });
    using _network = networkAs(env);
    // Without either it has what a drop-in of its unit says.
    if (loaded.exists || loaded.config.apiUrl) await requireControlPlane(loaded, warn);
  } catch (cause) {
    const why = messageOf(cause);
    throw new UserError(
      `${why}\nThe service was left as it runs; \`sudo ${PROGRAM} restart --force\` restarts it.`,
      { cause },
    );
  }
}

async function isHealthy(): Promise<boolean> {
  const paths = socketPaths(INSTALLED.identity, false);
  const asked = await askAgent(paths, "/readyz", ANSWER_LIMIT_MS);
  return asked.outcome === "answered" && asked.ok;
}

/** Says how it went; gives the exit code. */
export function tell({ done, text }: ServiceOutcome): number {
  if (done) print(`${text}\n`);
  else complain(text);
  return done ? 0 : EXIT_FAILED;
}

/**
 * What systemd says of the installed service.
 *
 * @throws {UserError} when there is no systemd or no service.
 */
export async function installedService(run: RunTool = runTool): Promise<ServiceState> {
  const state = await serviceState(run);
  if (!state) {
    throw new UserError(
      `systemd does not run this machine, so there is no service: use \`${PROGRAM} run\`.`,
    );
  }
  if (state.load === "not-found") {
    throw new UserError(`The service is not installed: run \`sudo ${PROGRAM} install\`.`);
  }
  return state;
}

/** What has come of telling the service to do something. */
export interface ServiceOutcome {
  /** Whether it did it. */
  readonly done: boolean;
  /** What to say to a person: a sentence or, with the end of the log, several lines. */
  readonly text: string;
}

/** Tells systemd and waits for the outcome. */
export async function changeService(
  action: ServiceAction,
  run: RunTool = runTool,
): Promise<ServiceOutcome> {
  // A service that has failed too often is not started again unless its failures are forgotten.
  if (action !== "stop") await run("systemctl", "reset-failed", SERVICE);
  const { code, stderr } = await waitingFor(action, () => run("systemctl", action, SERVICE));
  const state = await serviceState(run);
  const now = state ? `${SERVICE} is ${state.active} (${state.sub})` : `${SERVICE} is unknown`;
  if (code === 0) return { done: true, text: `${now}.` };
  const log = (state ? await endOfLog(state, run) : []).map((line) => `\n  ${line}`).join("");
  const why = stderr.split("\n")[0] || `systemctl ended with exit code ${code}`;
  const text = `${action} failed, ${now}: ${why}` +
    `${log && `\nThe end of its log:${log}`}\nMore of it: \`${PROGRAM} logs\`.`;
  return { done: false, text };
}

/** A person at a terminal sees that a service that ends its tasks takes its time. */
async function waitingFor<T>(action: ServiceAction, work: () => Promise<T>): Promise<T> {
  if (!Deno.stdout.isTerminal()) return await work();
  using progress = new Progress({ write: print, columns: Deno.consoleSize().columns || 80 });
  const startMs = performance.now();
  const what = action === "start"
    ? "Waiting for the agent to be ready"
    : "Waiting for running tasks to finish (shutdown_timeout)";
  const timer = setInterval(
    () => progress.show(`${what}: ${clock(performance.now() - startMs)}`),
    1_000,
  );
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** The last lines of the service's log, for a person. */
async function endOfLog(state: ServiceState, run: RunTool): Promise<string[]> {
  const entries = await lastEntries(run, LINES_AFTER_FAILURE);
  const mains = new MainProcesses(state);
  return await Promise.all(entries.map((entry) => mains.describe(entry)));
}

/** The last lines that the agent itself has left, for a person; those of systemd where it has none. */
export async function lastWords(
  state: ServiceState,
  count: number,
  run: RunTool = runTool,
): Promise<string[]> {
  const entries = await lastEntries(run, LINES_AFTER_FAILURE + count);
  const own = entries.filter(({ _PID }) => _PID !== "1");
  const mains = new MainProcesses(state);
  const shown = (own.length > 0 ? own : entries).slice(-count);
  return await Promise.all(shown.map((entry) => mains.describe(entry)));
}

async function lastEntries(run: RunTool, count: number): Promise<JournalEntry[]> {
  const tail = ["-u", SERVICE, "-n", String(count), "-q"];
  const { stdout } = await run("journalctl", ...ENTRY_OPTIONS, ...tail);
  return stdout.split("\n").filter(Boolean).map(parseEntry);
}
