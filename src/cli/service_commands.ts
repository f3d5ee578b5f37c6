import { SERVICE } from "../system/paths.ts";
import { type ServiceState, serviceState } from "../system/systemd.ts";
import { type RunTool, runTool } from "../system/tool.ts";
import { EXIT_FAILED, UserError } from "../system/user_error.ts";
import { ENTRY_OPTIONS, parseEntry } from "./journal_entry.ts";
import { MainProcesses } from "./main_processes.ts";
import { complain, print, PROGRAM } from "./output.ts";
import { requireRoot } from "./root.ts";

/** What can be done to the service. */
export type ServiceAction = "start" | "stop" | "restart";

/** Lines of the log that are shown when the service did not do what it was told. */
const LINES_AFTER_FAILURE = 10;

/** Starts, stops or restarts the installed service; gives the exit code. */
export async function service(action: ServiceAction, run: RunTool = runTool): Promise<number> {
  await requireRoot(action);
  await installedService(run);
  return tell(await changeService(action, run));
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
  const { code, stderr } = await run("systemctl", action, SERVICE);
  const state = await serviceState(run);
  const now = state ? `${SERVICE} is ${state.active} (${state.sub})` : `${SERVICE} is unknown`;
  if (code === 0) return { done: true, text: `${now}.` };
  const log = state ? await endOfLog(state, run) : "";
  const why = stderr.split("\n")[0] || `systemctl ended with exit code ${code}`;
  const text = `${action} failed, ${now}: ${why}` +
    `${log && `\nThe end of its log:${log}`}\nMore of it: \`${PROGRAM} logs\`.`;
  return { done: false, text };
}

async function endOfLog(state: ServiceState, run: RunTool): Promise<string> {
  const tail = ["-u", SERVICE, "-n", String(LINES_AFTER_FAILURE), "-q"];
  const { stdout } = await run("journalctl", ...ENTRY_OPTIONS, ...tail);
  const mains = new MainProcesses(state);
  let log = "";
  for (const line of stdout.split("\n").filter(Boolean)) {
    log += `\n  ${await mains.describe(parseEntry(line))}`;
  }
  return log;
}
