import { type RunTool, toolRunner } from "../system/tool.ts";
import { UserError } from "../system/user_error.ts";
import { APT } from "./apt_manager.ts";
import { dnfManager } from "./dnf_manager.ts";
import type { PackageManager } from "./package_manager.ts";

/** The first of them that is there is taken; what goes by yum is dnf wherever the agent runs. */
const DNFS = ["dnf", "dnf5", "yum"];
/** What other families have. */
const OTHERS = ["zypper", "apk", "pacman"];
const SUPPORTED = "apt (Debian, Ubuntu) and dnf (Fedora, RHEL and their relatives)";
const DPKG_DATABASE = "/var/lib/dpkg/status";

/** The agent may not look at every folder of its PATH itself; dpkg may be there as a mere tool. */
const LOOK = `
for program in "$@"; do
  ! command -v "$program" >/dev/null || echo "$program"
done
[ ! -s ${DPKG_DATABASE} ] || echo "${DPKG_DATABASE}"`;
const PROGRAMS = ["dpkg-query", "dpkg", "apt-get", "apt", "rpm", ...DNFS, ...OTHERS];

/** What it is run with starts nothing: all of it is in the shell. */
const lookAround = toolRunner({ isAlone: true });

/**
 * The package manager of this machine, by what it has and not by what it is called.
 *
 * @throws {UserError} with what is supported, if there is none.
 */
export async function findManager(run: RunTool = lookAround): Promise<PackageManager> {
  const { stdout } = await run("/bin/sh", "-c", LOOK, "sh", ...PROGRAMS);
  const found = new Set(stdout.split("\n"));
  const has = (program: string) => found.has(program);
  const dpkg = ["dpkg-query", "dpkg", "apt-get", "apt"].some(has);
  if (dpkg && (!has("rpm") || has(DPKG_DATABASE))) return APT;
  const dnf = DNFS.find(has);
  const other = OTHERS.find(has);
  if (has("rpm") && (dnf !== undefined || other === undefined)) return dnfManager(dnf);
  const what = other ?? "neither";
  throw new UserError(`package tasks support ${SUPPORTED}, and this machine has ${what}`);
}
