import { NAME, SERVICE } from "../system/paths.ts";
import { serviceState } from "../system/systemd.ts";
import { type Check, fail, type Finding, ok, skip, warn } from "./check.ts";
import type { CheckContext } from "./check_context.ts";

/** What apt and dpkg hold while they change packages. */
const DPKG_LOCKS = ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"];

/** The package manager and the service manager. */
export function machineChecks(context: CheckContext): Check[] {
  return [
    { name: "packages", run: () => checkPackages(context) },
    { name: "systemd", run: () => checkSystemd(context) },
  ];
}

async function checkPackages({ run, lockHolder }: CheckContext): Promise<Finding> {
  const [dpkg, apt] = await Promise.all([run("dpkg", "--version"), run("apt-get", "--version")]);
  if (dpkg.code !== 0) return skip("no dpkg: package tasks need Debian or Ubuntu");
  if (apt.code !== 0) return fail("there is dpkg, but no apt-get", "dpkg -i apt_*.deb");
  for (const lock of DPKG_LOCKS) {
    const holder = lockHolder(lock);
    if (!holder) continue;
    const who = `${holder.name || "a process"} (process ${holder.pid})`;
    const found = `${holder.certain ? "" : "perhaps "}${who} changes packages now`;
    return warn(found, "wait for it; package tasks wait up to 120 s");
  }
  const audit = await run("dpkg", "--audit");
  if (audit.code === 0 && audit.stdout === "") {
    const version = /^apt (\S+)/.exec(apt.stdout)?.[1] ?? "";
    return ok(`apt ${version}, and dpkg finds nothing half done`);
  }
  const broken = [...audit.stdout.matchAll(/^ (\S+)/gm)].map(([, name]) => name);
  return fail(
    broken.length > 0
      ? `packages are half done: ${broken.slice(0, 5).join(", ")}${broken.length > 5 ? ", …" : ""}`
      : `dpkg --audit: ${audit.stderr || audit.stdout}`,
    "dpkg --configure -a && apt-get install -f",
  );
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
  const time = since ? ` since ${since.toISOString().slice(0, 19)}Z` : "";
  const found = `${SERVICE} is ${active} (${sub})${time}${start}${again}`;
  if (active === "failed" || sub === "auto-restart") {
    return fail(`${found}; it ended by ${result}`, `${NAME} logs, then sudo ${NAME} start`);
  }
  if (active !== "active") return warn(found, `sudo ${NAME} start`);
  if (enabled !== "enabled") return warn(found, `sudo systemctl enable ${SERVICE}`);
  return ok(`${found}, process ${pid}`);
}
