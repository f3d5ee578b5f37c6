import type { TaskContext } from "../tasks/task_type.ts";
import { aptLeaves, runApt } from "./apt.ts";
import { listPackages } from "./apt_list.ts";
import { parseAptRequest, refuseUnknown } from "./apt_names.ts";
import { searchPackages } from "./apt_search.ts";
import {
  type ChangeEnd,
  type ChangeRequest,
  changesBetween,
  type PackageManager,
} from "./package_manager.ts";
import { auditDpkg, presentIn, readDpkg } from "./dpkg.ts";
import { type Locks, whenUnlocked } from "./lock_patience.ts";
import { needsApt, queriesOfChange, type Query } from "./query.ts";
import { join } from "@std/path";
import { UserError } from "../system/user_error.ts";
import { contextsOf } from "./run_manager.ts";

/** dpkg and apt. What is cut short here can be completed: `dpkg --configure -a`. */
export const APT: PackageManager = {
  name: "apt-get",
  leaveMs: 30_000,
  hurry: "use longer or more words",
  list: listPackages,
  search: searchPackages,
  parse: parseAptRequest,
  leaving: (_, leaveMs) => Promise.resolve(aptLeaves(leaveMs)),
  change,
  locks: aptLocks,
  audit: async (query, onLines) => await auditDpkg(await readDpkg(query) ?? [], query, onLines),
};

async function change(
  request: ChangeRequest,
  context: TaskContext,
  leaveMs: number,
): Promise<ChangeEnd> {
  const query = queriesOfChange(context);
  if (!context.takenUp) {
    if (!await readDpkg(query)) throw needsApt();
    await refuseUnknown(request.names, query);
  }
  const next = contextsOf(context);
  const attempt = () => runApt(request, next(), leaveMs);
  const { exitCode, error, before } = await whenUnlocked(await aptLocks(query), context, attempt);
  return {
    exitCode,
    error,
    changed: async (query) => {
      if (!before) return [];
      if (before.length === 0) throw new UserError("there is no look from before");
      return changesBetween(presentIn(before), presentIn(await readDpkg(query) ?? before));
    },
  };
}

/** What dpkg and apt hold while they change packages. */
const DPKG_LOCKS = ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"];
/** Where apt keeps what it downloads and its lists: somebody who holds these is at a download. */
const FOLDERS = ["Dir::Cache::archives", "Dir::State::lists"];

/** Every lock that apt takes: apt itself fails on those of its folders at once. */
export async function aptLocks(query: Query): Promise<Locks> {
  const asked = FOLDERS.flatMap((key, index) => [`F${index}`, `${key}/d`]);
  const { stdout } = await query("apt-config", "shell", ...asked);
  const folders = Array.from(stdout.matchAll(/^F\d='(.*)'$/gm), ([, folder = ""]) => folder);
  return { what: "dpkg", paths: [...DPKG_LOCKS, ...folders.map((folder) => join(folder, "lock"))] };
}
