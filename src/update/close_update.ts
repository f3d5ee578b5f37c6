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
  /** The version that runs. */
  version?: string;
}

/**
 * Tells what has become of an update that could not tell it itself: its unit was killed, or the
 * control plane was away for longer than it waits. Called by each start of the agent.
 */
export async function closeUpdate(deps: CloseUpdateDeps): Promise<void> {
  const { api, stateFolder, run, warn, version = VERSION } = deps;
  const record = await readUpdateRecord(stateFolder);
  const { last } = record;
  if (!last || last.closed || await isUpdating(run)) return;
  const { targetId, targetVersion, percent, step } = last;
  if (last.failed !== undefined || targetVersion !== version) {
    const failed = last.failed ??
      `the update to ${targetVersion} was interrupted (${step}); ${version} runs`;
    warn(failed);
    if (targetId !== undefined) {
      const reporter = new UpdateReporter(api, targetId, warn);
      reporter.failed(failed, percent);
      if (!await reporter.told(TELL_MS)) return;
    }
  }
  await writeUpdateRecord(stateFolder, { ...record, last: { ...last, closed: true } });
}
