import { delay } from "@std/async";
import type { RunTool } from "../system/tool.ts";
import { VERSION } from "../system/version.ts";
import { readUpdateRecord, writeUpdateRecord } from "./update_record.ts";
import { type UpdateApi, UpdateReporter } from "./update_reporter.ts";
import { isUpdating } from "./update_unit.ts";

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
