import type { ReadEnv } from "../config/mod.ts";
import { type IdentitySources, knownIdentity } from "../identity/known_identity.ts";
import { configBefore } from "../install/earlier_config.ts";
import { installAgent, type InstallOptions } from "../install/install.ts";
import type { Machine, Places } from "../install/machine.ts";
import { findRelease } from "../install/release.ts";
import { installedStateFile, installEnv } from "../install/settings.ts";
import { NotOwnError } from "../system/own_file.ts";
import { INSTALLED } from "../system/paths.ts";
import { runTool } from "../system/tool.ts";
import { lookAt } from "../system/trust.ts";
import { EXIT_USAGE, messageOf, UserError } from "../system/user_error.ts";
import { VERSION } from "../system/version.ts";
import { ask, readLines } from "./ask.ts";
import { askForEmail, checkEmail, converse } from "./enrollment_dialog.ts";
import { takeEnvironment } from "./environment.ts";
import { givenText } from "./config.ts";
import { Interruption } from "./interruption.ts";
import { formatEvent } from "./service_journal.ts";
import { complain, print, PROGRAM } from "./output.ts";
import { requireRoot } from "./require_root.ts";

const TOKEN_VARIABLE = "NODERAX_BOOTSTRAP_TOKEN";
/** The file that this program was unpacked from. */
const RUN_FILE_VARIABLE = "NODERAX_RUN_FILE";

/** What the command line says. */
export interface InstallCommandOptions {
  /** The control plane's address. */
  apiUrl?: string;
  /** Who approves the machine. */
  email?: string;
  /** Asks nothing. */
  nonInteractive?: boolean;
  /** Enrolls without an approval. */
  bootstrapToken?: string;
  /** How much the agent is to log. */
  logLevel?: string;
}

/** Installs this program as a service, or upgrades the one that is there; gives the exit code. */
export async function install(options: InstallCommandOptions): Promise<number> {
  // The tools that are run need none of the agent's variables, its secrets least.
  const processEnv = takeEnvironment();
  checkEmail(options.email);
  const given = {
    email: options.email,
    nonInteractive: options.nonInteractive,
    apiUrl: options.apiUrl && givenText("api_url", options.apiUrl),
    logLevel: options.logLevel && givenText("log_level", options.logLevel),
    token: options.bootstrapToken ?? processEnv(TOKEN_VARIABLE),
  };
  const runFile = processEnv(RUN_FILE_VARIABLE);
  await requireRoot(runFile);
  const machine: Machine = { places: INSTALLED, run: runTool };
  const release = await findRelease({ runFile });
  using interruption = new Interruption("The installation was interrupted.");
  print(`Noderax agent ${VERSION}\n`);
  const wishes = await completeWishes(given, machine.places, processEnv);
  await installAgent(machine, {
    ...wishes,
    release,
    print,
    warn: complain,
    signal: interruption.signal,
    showLog: (lines) => print(`\n${lines.map((line) => `  ${formatEvent(line)}\n`).join("")}`),
  });
  print(`Done. \`${PROGRAM} status\` shows how the agent is.\n`);
  return 0;
}

/** What is given on the command line, or by the environment. */
export interface Given {
  /** The control plane's address. */
  apiUrl?: string | undefined;
  /** Who approves the machine. */
  email?: string | undefined;
  /** Asks nothing. */
  nonInteractive?: boolean | undefined;
  /** The bootstrap token. */
  token?: string | undefined;
  /** How much the agent is to log. */
  logLevel?: string | undefined;
}

/**
 * Asks for what is neither given nor known from an earlier installation, before anything is done.
 * Throws a {@linkcode UserError} with exit code 2 when nothing may be asked, or nobody answers.
 */
export async function completeWishes(
  given: Given,
  places: Places,
  processEnv: ReadEnv,
  lines: AsyncIterator<string> = readLines(Deno.stdin.readable),
): Promise<Pick<InstallOptions, "apiUrl" | "converse" | "env" | "logLevel" | "token">> {
  const env = installEnv(places, processEnv);
  const loaded = await configBefore(places, env);
  const { config, others } = loaded;
  const stateFile = installedStateFile(config, places);
  // What others could have written is looked into when it is taken over.
  const enrolled = others !== undefined || config.enrollmentToken !== undefined ||
    await isEnrolled({ ...loaded, config: { ...config, stateFile } });
  const needsUrl = !given.apiUrl && !config.apiUrl;
  const needsPerson = !given.token && !given.email && !enrolled;
  if (given.nonInteractive && (needsUrl || needsPerson)) {
    const flags = [...needsUrl ? ["--api-url"] : [], ...needsPerson ? ["--bootstrap-token"] : []];
    const why = others && needsUrl ? `${places.config} is not trusted, because ${others}. ` : "";
    throw missing(`${why}--non-interactive needs ${flags.join(" and ")}`);
  }
  const apiUrl = needsUrl ? await askForApiUrl(lines) : given.apiUrl;
  const email = needsPerson ? await askForEmail(lines, "install") : given.email;
  return {
    apiUrl,
    env,
    logLevel: given.logLevel,
    token: given.token,
    converse: (place) =>
      converse(place, {
        // One that is pending may turn out to have ended.
        email: async () => {
          if (email) return email;
          if (given.nonInteractive) throw missing("The enrollment needs --email");
          return await askForEmail(lines, "install");
        },
        interrupted: "Stopped waiting for the approval.",
      }),
  };
}

/**
 * Whether the machine has an identity. One that others could have written counts: the step of the
 * state folder looks into it before it is believed.
 */
async function isEnrolled(loaded: IdentitySources): Promise<boolean> {
  try {
    return await knownIdentity(loaded) !== undefined;
  } catch (error) {
    if (!(error instanceof UserError && error.cause instanceof NotOwnError)) throw error;
    const { nodeId, agentToken, stateFile } = loaded.config;
    return Boolean(nodeId && agentToken) || await lookAt(stateFile) !== undefined;
  }
}

async function askForApiUrl(lines: AsyncIterator<string>): Promise<string> {
  const complaint = (answer: string) => {
    try {
      givenText("api_url", answer);
      return undefined;
    } catch (error) {
      return answer ? messageOf(error) : "An address is needed.";
    }
  };
  const answer = await ask("Address of the control plane (API URL): ", complaint, lines);
  if (answer === undefined) throw missing("No API URL was given, which needs --api-url");
  return givenText("api_url", answer);
}

function missing(what: string): UserError {
  return new UserError(`${what}: see \`${PROGRAM} install --help\`.`, { exitCode: EXIT_USAGE });
}
