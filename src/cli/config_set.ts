import { resolve } from "@std/path";
import * as z from "@zod/zod";
import {
  type ConfigKey,
  type ConfigValue,
  inspectConfig,
  locateConfig,
  masked,
  namedConfig,
  type ReadEnv,
  saveConfig,
} from "../config/mod.ts";
import { requireControlPlane } from "../control_plane/api_answer.ts";
import { clientTrusting } from "../control_plane/connect.ts";
import { knownIdentity } from "../identity/known_identity.ts";
import { readLaunches } from "../privileges/privileges.ts";
import { Logger } from "../system/logger.ts";
import { INSTALLED, SERVICE } from "../system/paths.ts";
import { isRunning, serviceState } from "../system/systemd.ts";
import { type RunTool, runTool } from "../system/tool.ts";
import { EXIT_USAGE, messageOf, UserError } from "../system/user_error.ts";
import { askYesNo } from "./ask.ts";
import { findKey, givenValue } from "./config.ts";
import { complain, inLine, print, PROGRAM } from "./output.ts";
import { changeService, type ServiceOutcome, tell } from "./service_commands.ts";
import { networkAs, serviceEnvironment } from "./environment.ts";

const FILES = new Set(["api_tls_ca_file", "state_file"]);
/** What has to be said of keys that the unit of the service goes by. */
const BOUND_BY_UNIT: Record<string, string> = {
  state_file: "the service may write only where its unit says",
  task_isolation: "tasks that are children of the service inherit what its unit says",
};

/** What the command line says of how a value is set. */
export interface ConfigSetOptions {
  /** Whether the service is to be restarted where the key needs it; a person is asked if unset. */
  restart?: boolean | undefined;
  /** Saves what would be refused. */
  force?: boolean | undefined;
}

/**
 * Changes one key of the configuration file, or removes it, and has the service take the change if
 * that is the file it reads; gives the exit code.
 */
export async function configSet(
  key: string,
  text: string,
  { restart, force = false }: ConfigSetOptions = {},
): Promise<number> {
  const row = findKey(key);
  const { path, passedOver } = await locateConfig();
  passedOver.forEach(complain);
  const wanted = text.trim() === "" ? null : givenValue(key, text, "on the command line");
  // The shell's environment is none of the service's.
  const serviceEnv = path === INSTALLED.config ? await serviceEnvironment() : undefined;
  if (!force) {
    await protectIdentity(row, wanted);
    if (serviceEnv) protectAddress(row, wanted, serviceEnv);
  }
  const value = wanted === null ? null : await checked(key, wanted, { serviceEnv, force });
  const { warnings } = await saveConfig(path, { [key]: value });
  const what = value === null
    ? `Removed ${key} from`
    : `Saved ${key} = ${inLine(masked(row, value))} in`;
  print(`${what} ${path}.\n`);
  warnings.forEach(complain);
  const bound = BOUND_BY_UNIT[key];
  if (bound !== undefined && path === INSTALLED.config) {
    complain(`${bound}: run \`sudo ${PROGRAM} install\` too.`);
  }

  const source = (await inspectConfig(serviceEnv && { env: serviceEnv })).sources[key];
  if (source !== undefined && source !== "default" && "env" in source) {
    complain(`the environment variable ${source.env} is set and overrides ${key}.`);
  }
  const outcome = await applyIfInUse(path, row, restart);
  return outcome ? tell(outcome) : 0;
}

/** What the control plane gives out (contract: Heartbeat), in words and as a test. */
const SHAPES: Record<string, [words: string, fits: (text: string) => boolean]> = {
  agent_token: ["at least 32 characters", (text) => text.length >= 32],
  node_id: ["a UUID", (text) => z.uuid().safeParse(text).success],
};

/**
 * Who this machine is comes from its enrollment: a slip here would cut it off from its node.
 *
 * @throws {UserError} unless the value can be the control plane's and takes no identity's place.
 */
async function protectIdentity({ key }: ConfigKey, value: ConfigValue | null): Promise<void> {
  const shape = SHAPES[key];
  if (!shape) return;
  const [words, fits] = shape;
  if (value !== null && !fits(String(value))) {
    const message = `${key} of the control plane has another shape: ${words}. ` +
      "Nothing was changed; --force saves it all the same.";
    throw new UserError(message, { exitCode: EXIT_USAGE });
  }
  const loaded = await inspectConfig();
  // Half a pair, or a damaged file, is no identity that could be lost.
  const known = await knownIdentity(loaded).catch(() => undefined);
  const current = key === "node_id" ? known?.nodeId : known?.agentToken;
  if (!known || current === value) return;
  throw new UserError(
    `This machine is node ${known.nodeId}: \`${PROGRAM} enroll --again\` makes it another one. ` +
      `Nothing was changed; --force changes ${key} all the same.`,
  );
}

/**
 * The service cannot start without an address.
 *
 * @throws {UserError} when it would be left without one.
 */
export function protectAddress(row: ConfigKey, value: ConfigValue | null, env: ReadEnv): void {
  if (row.key !== "api_url" || value !== null || row.env.some((name) => env(name)?.trim())) return;
  throw new UserError(
    "Without api_url the service cannot start: set another address instead. " +
      "Nothing was changed; --force removes it all the same.",
  );
}

/** The world that {@linkcode applyIfInUse} sees. */
export interface ApplyOptions {
  /** Runs systemd's tools. */
  run?: RunTool;
  /** The configuration that the service reads. */
  installedConfig?: string;
  /** Whether `path` is what NODERAX_CONFIG_FILE names; else it was found, maybe by accident. */
  named?: boolean;
  /** Asks the person; false where there is none. */
  confirm?: (question: string) => Promise<boolean>;
}

/**
 * Has the service take the change if it runs and `path` is its configuration; undefined if it need
 * not. What can be reloaded is; a restart would end running tasks, so it has to be wanted.
 */
export async function applyIfInUse(
  path: string,
  row: Pick<ConfigKey, "key" | "needsRestart">,
  restart: boolean | undefined,
  {
    run = runTool,
    installedConfig = INSTALLED.config,
    named = namedConfig() !== undefined,
    confirm = confirmRestart,
  }: ApplyOptions = {},
): Promise<ServiceOutcome | undefined> {
  const isOther = path !== installedConfig;
  if (isOther && named) return undefined;
  if (!isRunning(await serviceState(run))) return undefined;
  if (isOther) {
    return { done: true, text: `The service was left alone: it reads ${installedConfig}.` };
  }
  if (!row.needsRestart) {
    const { code, stderr } = await run("systemctl", "reload", SERVICE);
    if (code === 0) return { done: true, text: "The running agent reloads it." };
    return { done: false, text: `the value is saved, but the reload failed: ${stderr}` };
  }
  const cost = "tasks in units go on, others have shutdown_timeout";
  const question = `${row.key} takes effect at a restart (${cost}). Restart now?`;
  if (!(restart ?? await confirm(question))) {
    const text = `${row.key} takes effect at the next restart: run \`sudo ${PROGRAM} restart\` ` +
      `(${cost}), or give --restart.`;
    return { done: true, text };
  }
  print(`Restarting the service: ${cost}.\n`);
  const { done, text } = await changeService("restart", run);
  return { done, text: done ? `Restarted: ${text}` : `the value is saved, but ${text}` };
}

/** Asks at a terminal; anything but a yes is a no. */
async function confirmRestart(question: string): Promise<boolean> {
  if (!Deno.stdin.isTerminal() || !Deno.stdout.isTerminal()) return false;
  return await askYesNo(question);
}

/** For whom {@linkcode checked} looks. */
export interface CheckOptions {
  /** The environment of the service, if the value is for it. */
  serviceEnv?: ReadEnv | undefined;
  /** Whether to go on with what would be refused. */
  force?: boolean;
}

/**
 * The value as it is to be saved. One with which the agent would not start on this machine as it is
 * now is complained of, or thrown if it is for the service, which must not be lost by it unless forced.
 *
 * @throws {UserError} the agent's own sentence about the value.
 */
export async function checked(
  key: string,
  value: ConfigValue,
  { serviceEnv, force = false }: CheckOptions,
): Promise<ConfigValue> {
  const text = String(value);
  try {
    if (key === "run_as_user") await readLaunches(text, new Logger({ write: () => {} }));
    if (key === "api_tls_ca_file") (await clientTrusting(text)).close();
    if (key === "api_url") await tryAddress(text, serviceEnv);
  } catch (error) {
    if (serviceEnv && !force) {
      throw new UserError(
        `${messageOf(error)} Nothing was changed; --force saves it all the same.`,
      );
    }
    complain(`${messageOf(error)} The agent will not work until this is corrected.`);
  }
  // The service starts in another folder.
  return serviceEnv && FILES.has(key) ? resolve(text) : value;
}

/** The other values are those that the agent would have. */
async function tryAddress(apiUrl: string, serviceEnv?: ReadEnv): Promise<void> {
  const loaded = await inspectConfig(serviceEnv && { env: serviceEnv });
  using _network = serviceEnv && networkAs(serviceEnv);
  await requireControlPlane({ ...loaded, config: { ...loaded.config, apiUrl } });
}
