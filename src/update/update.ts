import type { Config } from "../config/mod.ts";
import { UPDATE_PERCENT } from "../control_plane/schemas.ts";
import { lockInstallation, type Machine, removeAll } from "../install/machine.ts";
import { oldProgram, program } from "../install/installed_program.ts";
import { requireSpace } from "../install/install_preflight.ts";
import type { Release } from "../install/release.ts";
import { runSteps, type Step } from "../install/steps.ts";
import { unitFile } from "../install/unit_file.ts";
import { SERVICE } from "../system/paths.ts";
import { requireOwnFolder } from "../system/trust.ts";
import { messageOf } from "../system/user_error.ts";
import { VERSION } from "../system/version.ts";
import { requireWanted, updateOrigin } from "./may_update.ts";
import { type ProofOptions, provenService, requireServing } from "./prove_service.ts";
import { stageRelease } from "./stage_release.ts";
import {
  forgetRolledBack,
  readUpdateRecord,
  rememberRolledBack,
  type Update,
  writeUpdateRecord,
} from "./update_record.ts";
import type { UpdateReporter } from "./update_reporter.ts";
import { UpdateSource } from "./update_source.ts";
import type { UpdateRequest } from "./update_unit.ts";

/** How long a failure may take to be told: an outage may last; the next start of the agent tells it. */
const TELL_FAILURE_MS = 10 * 60_000;
/** The same of one that was stopped, as by a shutdown. */
const TELL_STOPPED_MS = 2_000;
/** How long the other reports may take after a success: the heartbeat says more. */
const TELL_MS = 30_000;

/** What is downloaded and unpacked, and its copy, take no more than so many programs. */
const COPIES = 3;

/** How long the version that was put back may take to serve. */
const BACK_MS = 20_000;

/** What an update is done with. */
export interface UpdateOptions {
  /** The configuration. */
  config: Pick<Config, "updateSource" | "updatePublicKey">;
  /** What https goes by. */
  client?: Deno.HttpClient | undefined;
  /** Where the agent keeps what it must remember. */
  stateFolder: string;
  /** Tells operators; undefined where a person has asked. */
  reporter?: UpdateReporter | undefined;
  /** Where the agent's socket is. */
  sockets: readonly string[];
  /** Takes text for the person. */
  print: (text: string) => void;
  /** Hears of what keeps no update from its end. */
  warn: (sentence: string) => void;
  /** Stops it; all is put back. */
  signal: AbortSignal;
  /** How the new agent is waited for. */
  proof?: Pick<ProofOptions, "limitMs" | "provesMs" | "intervalMs">;
}

/**
 * Installs another version of the agent in place of this one, and puts this one back unless the new
 * one runs and serves. The control plane is told each step where it has asked.
 *
 * @throws {UserError} that says why it failed.
 */
export async function update(
  machine: Machine,
  request: UpdateRequest,
  options: UpdateOptions,
): Promise<void> {
  const { reporter, stateFolder, warn } = options;
  const { targetVersion, targetId } = request;
  await using _lock = await lockInstallation(machine.places).catch(async (error) => {
    reporter?.failed(messageOf(error), 0);
    if (reporter) await tellFailure(reporter, options.signal);
    throw error;
  });
  const record = await readUpdateRecord(stateFolder);
  forgetRolledBack(record, VERSION);
  const last: Update = {
    ...(targetId === undefined ? {} : { targetId }),
    targetVersion,
    step: "dispatched",
    percent: 0,
    closed: false,
  };
  record.last = last;
  // A disk that is full now must neither end an update that goes well nor hide why one failed.
  const save = () =>
    writeUpdateRecord(stateFolder, record).catch((error) => {
      warn(`what is remembered of updates is not saved: ${messageOf(error)}`);
    });
  const reach = async (step: keyof typeof UPDATE_PERCENT) => {
    Object.assign(last, { step, percent: UPDATE_PERCENT[step] });
    await save();
    reporter?.reached(step);
  };
  let wasStarted = false;
  try {
    requireWanted(request, record);
    await reach("dispatched");
    await install(machine, request, options, reach, () => wasStarted = true);
  } catch (error) {
    const why = last.percent >= UPDATE_PERCENT.restarting
      ? `${messageOf(error)} ${await whatRuns(machine, options)}`
      : messageOf(error);
    last.failed = why;
    if (wasStarted && !options.signal.aborted) rememberRolledBack(record, targetVersion, why);
    await save();
    reporter?.failed(why, last.percent);
    last.closed = reporter ? await tellFailure(reporter, options.signal) : true;
    await save();
    throw error;
  }
  last.closed = true;
  forgetRolledBack(record, targetVersion);
  await save();
  await reporter?.told(TELL_MS);
}

/** Gives whether the failure was told; the next start of the agent tells it else. */
async function tellFailure(reporter: UpdateReporter, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return await reporter.told(TELL_STOPPED_MS);
  return await reporter.told(TELL_FAILURE_MS, signal);
}

/** Says whether the version before runs again, once a failure has put it back. */
async function whatRuns(machine: Machine, { sockets, proof }: UpdateOptions): Promise<string> {
  const options = { sockets, limitMs: BACK_MS, ...proof, version: VERSION, provesMs: 0 };
  return await requireServing(machine, options).then(
    () => `Version ${VERSION} was put back.`,
    (error) => `Version ${VERSION} was to be put back, but ${messageOf(error)}`,
  );
}

async function install(
  machine: Machine,
  { targetVersion }: UpdateRequest,
  { config, client, sockets, print, warn, signal, proof }: UpdateOptions,
  reach: (step: keyof typeof UPDATE_PERCENT) => Promise<void>,
  onStarted: () => void,
): Promise<void> {
  const { source, keys } = await updateOrigin(config, machine);
  await requireSpace(machine, [machine.places.programFolder], COPIES);
  await using folder = await StagingFolder.make(`${machine.places.programFolder}.update`, warn);
  await reach("downloading");
  const release = await stageRelease({
    source: new UpdateSource(source, { client }),
    keys,
    version: targetVersion,
    folder: folder.path,
    run: machine.run,
    onVerifying: () => reach("verifying"),
    signal,
  });
  await reach("installing");
  const steps: Step[] = [
    program(machine, release, targetVersion),
    await unitOf(machine, release),
    provenService(machine, {
      ...proof,
      version: targetVersion,
      sockets,
      signal,
      onRestarting: () => reach("restarting"),
      onStarted,
      onRestarted: () => reach("waiting_for_reconnect"),
    }),
  ];
  await runSteps(steps, { print, signal });
  await removeOr(warn, oldProgram(machine.places));
}

/** The unit file as the new version has it; one that makes none itself runs with the old one. */
async function unitOf(machine: Machine, { program }: Release): Promise<Step> {
  const { code, stdout } = await machine.run(
    "env",
    `NODERAX_CONFIG_FILE=${machine.places.config}`,
    program,
    "unit-file",
  );
  if (code === 0) return unitFile(machine, () => Promise.resolve(`${stdout}\n`));
  return {
    name: "Unit",
    run: () => Promise.resolve({ told: `${SERVICE} stays`, changed: false }),
  };
}

/** Removes what is of no use any more; where that fails, the next update does it. */
async function removeOr(warn: (sentence: string) => void, path: string): Promise<void> {
  await removeAll(path).catch((error) => warn(`not removed: ${path} (${messageOf(error)})`));
}

/** What is downloaded and unpacked lies here; gone with its end. */
class StagingFolder implements AsyncDisposable {
  /** Where it is. */
  readonly path: string;
  readonly #parent: string;
  readonly #warn: (sentence: string) => void;

  private constructor(parent: string, path: string, warn: (sentence: string) => void) {
    this.#parent = parent;
    this.path = path;
    this.#warn = warn;
  }

  /** What an update that was killed has left there goes. */
  static async make(path: string, warn: (sentence: string) => void): Promise<StagingFolder> {
    await requireOwnFolder(path, "The folder for updates");
    await removeAll(path);
    await Deno.mkdir(path, { mode: 0o700 });
    // Of a name of its own: what was verified is what is unpacked, whoever makes the folder anew.
    return new StagingFolder(path, await Deno.makeTempDir({ dir: path }), warn);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeOr(this.#warn, this.#parent);
  }
}
