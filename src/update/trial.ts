import { delay } from "@std/async";
import type { RunTool } from "../system/tool.ts";
import { VERSION } from "../system/version.ts";
import { readUpdateRecord } from "./update_record.ts";
import { isUpdating } from "./update_unit.ts";

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
