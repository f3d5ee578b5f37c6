import * as z from "@zod/zod";
import type { Config } from "../config/mod.ts";
import type { Machine } from "../install/machine.ts";
import type { TaskType } from "../tasks/task_type.ts";
import { messageOf } from "../system/user_error.ts";
import { VERSION } from "../system/version.ts";
import { readUpdateRecord, ReleaseVersion } from "./update_record.ts";
import { type UpdateApi, UpdateReporter } from "./update_reporter.ts";
import { startUpdateUnit } from "./update_unit.ts";

/** How long a failure may take to be told before the task ends with it, in milliseconds. */
const TELL_MS = 30_000;

/** An id of the control plane's: it becomes a part of an address and of a command line. */
export const TargetId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/, "is not an id");

const Payload = z.object({
  targetVersion: ReleaseVersion,
  targetId: TargetId,
  rollback: z.boolean().nullish(),
});

/** What {@linkcode agentUpdate} needs. */
export interface AgentUpdateDeps {
  /** Takes the reports. */
  api: UpdateApi;
  /** The configuration as it is now. */
  config: () => Pick<Config, "updateSource" | "updatePublicKey">;
  /** Where the agent is installed. */
  machine: Machine;
  /** Where the agent keeps what it must remember. */
  stateFolder: string;
  /** Hears of a report that was refused. */
  warn: (sentence: string) => void;
  /** Hears that an update is under way. */
  onStarted: () => void;
}

/**
 * `agent.update`: hands the update over to a unit of its own and ends at once (contract:
 * agent.update). What keeps it from that is told as the update's failure, which pauses the rollout.
 */
export function agentUpdate(deps: AgentUpdateDeps): TaskType {
  return {
    prepare(payload) {
      const { targetVersion, targetId, rollback: wished } = Payload.parse(payload);
      const rollback = wished ?? false;
      const request = { targetId, targetVersion, rollback };
      const result = { status: "handoff", targetId, targetVersion, rollback };
      return async () => {
        // The next heartbeat says so.
        if (targetVersion === VERSION) return { status: "success", result };
        try {
          // Loaded by the few agents that update themselves: it brings Node's cryptography.
          const { requireWanted, updateOrigin } = await import("./may_update.ts");
          await updateOrigin(deps.config(), deps.machine);
          requireWanted(request, await readUpdateRecord(deps.stateFolder));
          await startUpdateUnit(deps.machine.run, request);
          deps.onStarted();
          return { status: "success", result };
        } catch (error) {
          const message = messageOf(error);
          const reporter = new UpdateReporter(deps.api, targetId, deps.warn);
          reporter.failed(message, 0);
          await reporter.told(TELL_MS);
          return { status: "failed", error: message };
        }
      };
    },
  };
}
