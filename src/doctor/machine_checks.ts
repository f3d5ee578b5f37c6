import { localTime } from "../system/text.ts";
import { NAME, SERVICE } from "../system/paths.ts";
import { serviceState } from "../system/systemd.ts";
import { findManager } from "../packages/find_manager.ts";
import { holderAmong } from "../packages/lock_patience.ts";
import type { PackageManager } from "../packages/package_manager.ts";
import type { Query } from "../packages/query.ts";
import type { Holder } from "../system/kernel_locks.ts";
import { messageOf } from "../system/user_error.ts";
import { type Check, fail, type Finding, ok, skip, warn } from "./check.ts";
import type { CheckContext } from "./check_context.ts";

/** The package manager and the service manager. */
export function machineChecks(context: CheckContext): Check[] {
  return [
    { name: "packages", run: () => checkPackages(context) },
    { name: "systemd", run: () => checkSystemd(context) },
  ];
}

async function checkPackages({ run, lockHolder }: CheckContext): Promise<Finding> {
  const query: Query = async (program = "", ...args) => {
    const { code, stdout, stderr } = await run(program, ...args);
    return { exitCode: code, stdout, stderr };
  };
  let manager: PackageManager;
  try {
    manager = await findManager(run);
  } catch (error) {
    return skip(messageOf(error));
  }
  const { name } = manager;
  const version = await run(name, "--version");
  if (version.code !== 0) return fail(`${name} does not run`, `install ${name}`);
  if (name === "rpm") return warn("there is rpm, but no dnf", "microdnf install dnf");
  const { what, paths } = await manager.locks(query);
  const before = holderAmong(paths, lockHolder);
  if (before) return busy(before);
  const broken = await manager.audit(query, () => Promise.resolve());
  if (broken !== undefined) {
    // What is half done may be a change that has begun meanwhile.
    const holder = holderAmong(paths, lockHolder);
    if (holder) return busy(holder);
    const commands = Array.from(broken.matchAll(/"([^"]+)"/g), ([, command]) => command);
    return fail(broken.replaceAll(/: run "[^;]*/g, ""), commands.join(" && "));
  }
  const number = /\d+\.\S+/.exec(version.stdout)?.[0] ?? "";
  return ok(`${name} ${number}, and ${what} finds nothing half done`);
}

function busy({ name, pid, certain }: Holder): Finding {
  const who = `${certain ? "" : "perhaps "}${name || "a process"} (process ${pid})`;
  return warn(`${who} changes packages now`, "wait for it; package tasks wait up to 120 s");
}

async function checkSystemd({ run }: CheckContext): Promise<Finding> {
  const state = await serviceState(run);
  if (!state) return skip("systemd does not run this machine");
  const { load, active, sub, enabled, since, pid, restarts, result } = state;
  if (load === "not-found") return warn(`${SERVICE} is not installed`, `sudo ${NAME} install`);
  if (load !== "loaded") {
    return fail(`${SERVICE} is ${load}`, `systemd-analyze verify ${SERVICE}; sudo ${NAME} install`);
  }
  const again = restarts > 0 ? `, started again ${restarts} times` : "";
  const start = enabled === "enabled" ? "" : `, ${enabled || "not enabled"}`;
  const time = since ? ` since ${localTime(since)}` : "";
  const found = `${SERVICE} is ${active} (${sub})${time}${start}${again}`;
  if (active === "failed" || sub === "auto-restart") {
    return fail(`${found}; it ended by ${result}`, `${NAME} logs, then sudo ${NAME} start`);
  }
  if (active !== "active") return warn(found, `sudo ${NAME} start`);
  if (enabled !== "enabled") return warn(found, `sudo systemctl enable ${SERVICE}`);
  return ok(`${found}, process ${pid}`);
}
