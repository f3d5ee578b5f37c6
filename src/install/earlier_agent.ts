import { join } from "@std/path";
import { SERVICE, SERVICE_USER } from "../system/paths.ts";
import { isRunning, serviceState } from "../system/systemd.ts";
import { keepFile } from "./kept_file.ts";
import type { Step } from "./steps.ts";
import { isThere, type Machine, must, type Places } from "./machine.ts";

/** What the agent in Go had root do for it. */
const HELPERS = [
  "self-update",
  "root-profile",
  "package-mutation",
  "operational-log-scan",
  "task-root",
];

/** The files by which its user becomes root: the rules of sudo first, then what they allow. */
function waysToRoot({ sudoersFolder, helperFolder }: Places): string[] {
  return [
    ...["noderax-agent", "noderax-agent-root-access"].map((name) => join(sudoersFolder, name)),
    ...HELPERS.map((name) => join(helperFolder, `noderax-agent-${name}`)),
  ];
}

/**
 * Whether the agent in Go is installed here as its later releases are, by which it runs as the user
 * that now has the tasks. A rule of sudo alone may be an administrator's.
 */
export async function hasEarlierAgent({ places }: Pick<Machine, "places">): Promise<boolean> {
  for (const path of waysToRoot(places).filter((path) => path.startsWith(places.helperFolder))) {
    if (await isThere(path)) return true;
  }
  if (!await isThere(places.unit)) return false;
  return new RegExp(`^User=${SERVICE_USER}$`, "m").test(await Deno.readTextFile(places.unit));
}

/**
 * Stops the agent in Go and removes what made its user root: that user runs the tasks now, and is
 * root where the access profile says so alone.
 */
export function earlierAgent(machine: Machine): Step {
  const { run, places } = machine;
  return {
    name: "Agent in Go",
    async run(undos) {
      if (isRunning(await serviceState(run))) {
        undos.addLast("the service runs as before", () => must(run, "systemctl", "start", SERVICE));
        await must(run, "systemctl", "stop", SERVICE);
      }
      const removed: string[] = [];
      for (const path of waysToRoot(places)) {
        if (!await isThere(path)) continue;
        await keepFile(undos, path);
        await Deno.remove(path);
        removed.push(path);
      }
      const files = removed.length === 0 ? "" : `; removed ${removed.join(", ")}`;
      return { told: `stopped${files}`, changed: true };
    },
  };
}
