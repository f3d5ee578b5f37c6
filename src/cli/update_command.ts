import { dirname } from "@std/path";
import { loadConfig } from "../config/mod.ts";
import { AgentApi } from "../control_plane/agent_api.ts";
import { clientTrusting, connect } from "../control_plane/connect.ts";
import { createClient } from "../control_plane/network.ts";
import { knownIdentity } from "../identity/known_identity.ts";
import { type Machine, requireOwnLife } from "../install/machine.ts";
import { installEnv } from "../install/settings.ts";
import { restartSeconds } from "../install/unit.ts";
import { unitText } from "../install/unit_file.ts";
import { socketPaths } from "../health/status_client.ts";
import { INSTALLED } from "../system/paths.ts";
import { toolRunner } from "../system/tool.ts";
import { EXIT_USAGE, UserError } from "../system/user_error.ts";
import { TargetId } from "../update/agent_update.ts";
import { updateOrigin } from "../update/may_update.ts";
import { ReleaseVersion } from "../update/update_record.ts";
import { update } from "../update/update.ts";
import { UpdateReporter } from "../update/update_reporter.ts";
import { requireNoUpdate } from "../update/update_unit.ts";
import { UpdateSource } from "../update/update_source.ts";
import { takeEnvironment } from "./environment.ts";
import { Interruption } from "./interruption.ts";
import { complain, print, PROGRAM } from "./output.ts";
import { requireRoot } from "./require_root.ts";

/** What the command line says. */
export interface UpdateCommandOptions {
  /** The version to install; the one that the source's file `latest` names. */
  targetVersion?: string;
  /** Whether it may be an older one. */
  rollback?: boolean;
  /** What the control plane calls the update that it has asked for. */
  targetId?: string;
}

/** Installs another version from update_source; gives the exit code. */
export async function updateAgent(options: UpdateCommandOptions): Promise<number> {
  const processEnv = takeEnvironment();
  if (options.rollback && options.targetVersion === undefined) {
    // Whoever can write the source decides what its file `latest` says: nobody has signed it.
    throw new UserError("--rollback needs --target-version: name the version to go back to.", {
      exitCode: EXIT_USAGE,
    });
  }
  await requireRoot();
  const loaded = await loadConfig({ env: installEnv(INSTALLED, processEnv) });
  const { config } = loaded;
  const run = toolRunner({ limitMs: restartSeconds(config) * 1_000 });
  const machine: Machine = { places: INSTALLED, run };
  requireOwnLife(machine, `${PROGRAM} update`);
  using interruption = new Interruption("The update was interrupted.");
  const { signal } = interruption;
  const { apiTlsCaFile } = config;
  using client = apiTlsCaFile ? await clientTrusting(apiTlsCaFile) : createClient();
  const targetId = options.targetId && parse("--target-id", TargetId, options.targetId);
  if (!targetId) await requireNoUpdate(machine.run);
  const named = options.targetVersion ?? await latest();
  const targetVersion = parse("--target-version", ReleaseVersion, named);
  const request = { targetId, targetVersion, rollback: options.rollback ?? false };
  using transport = targetId ? await connect(loaded) : undefined;
  const identity = targetId ? await knownIdentity(loaded) : undefined;
  const reporter = targetId && transport && identity
    ? new UpdateReporter(
      new AgentApi(transport, identity, () => config.requestTimeoutMs),
      targetId,
      complain,
    )
    : undefined;
  await update(machine, request, {
    config,
    client,
    stateFolder: dirname(config.stateFile),
    reporter,
    // In the folder that systemd makes for the service, wherever its state is.
    sockets: socketPaths(config.stateFile, false),
    print,
    warn: complain,
    signal,
  });
  print(`Done. \`${PROGRAM} status\` shows how the agent is.\n`);
  return 0;

  async function latest(): Promise<string> {
    const { source } = await updateOrigin(config, machine);
    const bytes = await new UpdateSource(source, { client }).read("latest", 100, signal)
      .catch((cause) => {
        throw new UserError(
          "The source does not say which version is the latest: name one with --target-version.",
          { cause },
        );
      });
    return new TextDecoder().decode(bytes).trim();
  }
}

/** Prints the unit file that this version needs; another version asks for it before an update. */
export async function printUnitFile(): Promise<number> {
  const { config } = await loadConfig({ env: takeEnvironment() });
  print(unitText(config));
  return 0;
}

function parse(
  flag: string,
  schema: typeof ReleaseVersion | typeof TargetId,
  text: string,
): string {
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new UserError(`${flag}: "${text}" ${parsed.error.issues[0]?.message}.`, {
    exitCode: EXIT_USAGE,
  });
}
