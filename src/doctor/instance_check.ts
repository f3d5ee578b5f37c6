import { join, resolve } from "@std/path";
import { AgentStatus } from "../health/agent_status.ts";
import { askAgent, socketPaths } from "../health/status_client.ts";
import { NAME } from "../system/paths.ts";
import { VERSION } from "../system/version.ts";
import { type Check, fail, type Finding, ok, warn } from "./check.ts";
import { jsonOf } from "../system/text.ts";
import { stateFolderOf } from "./storage_checks.ts";
import type { CheckContext } from "./check_context.ts";

/** How long the agent may take to answer on its socket, in milliseconds. */
const STATUS_LIMIT_MS = 2_000;

/** Whether an agent works with the state folder now, and how it is. */
export function instanceChecks(context: CheckContext): Check[] {
  return [{ name: "instance", needs: ["config"], run: () => checkInstance(context) }];
}

async function checkInstance({ loaded, lockHolder }: CheckContext): Promise<Finding> {
  const folder = await stateFolderOf(loaded);
  const lock = join(folder, "agent.lock");
  if (!await isLocked(lock)) return ok(`no agent runs with ${folder}`);
  const holder = lockHolder(lock);
  const process = holder ? `, ${holder.certain ? "" : "perhaps "}process ${holder.pid}` : "";
  let found = `an agent runs with ${folder}${process}`;

  const { config } = await loaded();
  const asked = await askAgent(
    socketPaths(resolve(config.stateFile), true),
    "/status",
    STATUS_LIMIT_MS,
  );
  if (asked.outcome === "mute") {
    return warn(`${found}; its socket: ${asked.why}`, `sudo ${NAME} restart`);
  }
  if (asked.outcome === "stranger") {
    return warn(`${found}; its socket is not trusted: ${asked.why}`, `chmod 0700 ${folder}`);
  }
  if (asked.outcome !== "answered") return ok(found);
  const status = AgentStatus.safeParse(jsonOf(asked.text));
  if (!status.success || status.data.version !== VERSION) {
    const version = status.data?.version ?? "another version";
    return warn(`${found}; it is ${version}, and this is ${VERSION}`, `sudo ${NAME} restart`);
  }
  const { health, needsRestart, isolation } = status.data;
  if (isolation?.tasks === "unit") found += ", tasks in units of systemd's";
  else if (isolation) {
    found += `, tasks as its children${isolation.why ? ` (${isolation.why})` : ""}`;
  }
  if (!health || health.state === "healthy") {
    if (needsRestart.length === 0) return ok(`${found}, healthy`);
    return warn(
      `${found}; waits for a restart: ${needsRestart.join(", ")}`,
      `sudo ${NAME} restart`,
    );
  }
  const { state, what = state, fix = `${NAME} status` } = health;
  return (state === "unhealthy" ? fail : warn)(`${found}; ${state}: ${what}`, fix);
}

/** Tries the lock that a running agent holds, for as long as that takes. */
async function isLocked(path: string): Promise<boolean> {
  try {
    using file = await Deno.open(path);
    return !await file.tryLock(false);
  } catch {
    // There never was an agent, or it is another user's: the state folder's own check tells.
    return false;
  }
}
