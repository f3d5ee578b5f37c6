import { must } from "../install/machine.ts";
import { INSTALLED, NAME } from "../system/paths.ts";
import type { RunTool } from "../system/tool.ts";
import { UserError } from "../system/user_error.ts";
import { delay } from "@std/async";
import { VERSION } from "../system/version.ts";
import { readUpdateRecord, writeUpdateRecord } from "./update_record.ts";
import { type UpdateApi, UpdateReporter } from "./update_reporter.ts";

/** The unit that an update runs in: it outlives the agent, which it restarts. */
export const UPDATE_UNIT = `${NAME}-update.service`;

/** What is asked of an update. */
export interface UpdateRequest {
  /** What the control plane calls it; a person's has none. */
  targetId?: string | undefined;
  /** The version to install. */
  targetVersion: string;
  /** Whether it may be older than what runs. */
  rollback: boolean;
}

/** How often systemd is asked again where it does not answer, and after how many milliseconds. */
const [ASK_AGAIN, ASK_AGAIN_MS] = [20, 250];

/** Whether an update is under way by itself. */
export async function isUpdating(run: RunTool): Promise<boolean> {
  for (let left = ASK_AGAIN;; left--) {
    const { code, stdout } = await run("systemctl", "is-active", UPDATE_UNIT);
    // Without a word it is out of reach, as while it executes itself anew; 127 is no systemd at all.
    const isAnswer = stdout !== "" || code === 127 || left === 0;
    if (isAnswer) return ["active", "activating", "deactivating"].includes(stdout);
    await delay(ASK_AGAIN_MS);
  }
}

/**
 * Makes sure that no update is under way by itself.
 *
 * @throws {UserError} when one is.
 */
export async function requireNoUpdate(run: RunTool): Promise<void> {
  if (!await isUpdating(run)) return;
  throw new UserError("Another update of this agent is under way: wait for its end.");
}

/**
 * Starts an update in a unit of its own.
 *
 * @throws {UserError} when another one runs, or systemd refuses.
 */
export async function startUpdateUnit(run: RunTool, request: UpdateRequest): Promise<void> {
  await requireNoUpdate(run);
  const { targetId, targetVersion, rollback } = request;
  await must(
    run,
    "systemd-run",
    `--unit=${UPDATE_UNIT}`,
    "--quiet",
    "--collect",
    "--description=Update of the Noderax agent",
    `--property=EnvironmentFile=-${INSTALLED.configFolder}/environment`,
    INSTALLED.program,
    "update",
    `--target-version=${targetVersion}`,
    ...targetId === undefined ? [] : [`--target-id=${targetId}`],
    ...rollback ? ["--rollback"] : [],
  );
}

/** What {@linkcode trialEnds} needs. */
export interface TrialDeps {
  /** Where the agent keeps what it must remember. */
  stateFolder: string;
  /** Asks systemd. */
  run: RunTool;
  /** The agent stops. */
  signal: AbortSignal;
  /** The version that runs. */
  version?: string;
  /** Pause between two looks, in milliseconds. */
  intervalMs?: number;
}

/**
 * Waits while an update has this version on trial. The control plane takes the first word of a version
 * for the end of its rollout, and goes on with the next node: nothing is to name it before.
 */
export async function trialEnds(deps: TrialDeps): Promise<void> {
  const { stateFolder, run, signal, version = VERSION, intervalMs = 250 } = deps;
  while (!signal.aborted) {
    const { last } = await readUpdateRecord(stateFolder);
    if (last?.closed !== false || last.targetVersion !== version) return;
    if (!await isUpdating(run)) return;
    await delay(intervalMs, { signal }).catch(() => {});
  }
}

/** How long a failure may take to be told by a start; the next one tells it else. */
const TELL_MS = 24 * 3_600_000;

/** What {@linkcode closeUpdate} needs. */
export interface CloseUpdateDeps {
  /** Takes the report. */
  api: UpdateApi;
  /** Where the agent keeps what it must remember. */
  stateFolder: string;
  /** Asks systemd. */
  run: RunTool;
  /** Hears what has become of the update. */
  warn: (sentence: string) => void;
  /** The agent stops; the next start goes on. */
  signal: AbortSignal;
  /** Whether this agent has started one just now. */
  started?: boolean;
  /** The version that runs. */
  version?: string;
  /** Pause between two looks at an update that is under way, in milliseconds. */
  intervalMs?: number;
}

/**
 * Waits for the end of an update that is under way, and tells what has become of one that could not
 * tell it itself: its unit was killed, or the control plane was away for longer than it waits. Called
 * by each start of the agent, and when it has started an update.
 */
export async function closeUpdate(deps: CloseUpdateDeps): Promise<void> {
  const { api, stateFolder, run, warn, signal, version = VERSION, intervalMs = 10_000 } = deps;
  const isOpen = async () => (await readUpdateRecord(stateFolder)).last?.closed === false;
  if (!deps.started && !await isOpen()) return;
  while (await isUpdating(run)) {
    await delay(intervalMs, { signal }).catch(() => {});
    if (signal.aborted) return;
  }
  const { last } = await readUpdateRecord(stateFolder);
  // A person sees how theirs ends.
  if (!last || last.closed || last.targetId === undefined) return;
  const { targetId, targetVersion, percent, step } = last;
  if (last.failed !== undefined || targetVersion !== version) {
    const failed = last.failed ??
      `The update to ${targetVersion} was interrupted (${step}); ${version} runs.`;
    warn(failed);
    const reporter = new UpdateReporter(api, targetId, warn);
    reporter.failed(failed, percent);
    if (!await reporter.told(TELL_MS, signal)) return;
  }
  const record = await readUpdateRecord(stateFolder);
  // Another one may have begun meanwhile.
  if (record.last?.targetId !== targetId || record.last?.targetVersion !== targetVersion) return;
  await writeUpdateRecord(stateFolder, { ...record, last: { ...last, closed: true } });
}
