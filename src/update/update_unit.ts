import { must } from "../install/machine.ts";
import { INSTALLED, NAME } from "../system/paths.ts";
import type { RunTool } from "../system/tool.ts";
import { UserError } from "../system/user_error.ts";

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

/** Whether an update is under way by itself. */
export async function isUpdating(run: RunTool): Promise<boolean> {
  const { stdout } = await run("systemctl", "is-active", UPDATE_UNIT);
  return ["active", "activating", "deactivating"].includes(stdout);
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
