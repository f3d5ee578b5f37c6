import type { TaskContext } from "../tasks/task_type.ts";
import { runApt } from "./apt.ts";
import { installedPackages } from "./apt_list.ts";
import { aptLocks } from "./apt_locks.ts";
import { parseRequest, refuseUnknown } from "./apt_names.ts";
import { searchPackages } from "./apt_search.ts";
import type { ChangeRequest } from "./change_request.ts";
import { changesBetween } from "./changes.ts";
import { auditDpkg } from "./dpkg_audit.ts";
import { presentIn, readDpkg } from "./dpkg.ts";
import { whenUnlocked } from "./lock_patience.ts";
import type { ChangeEnd, PackageManager } from "./package_manager.ts";
import { needsApt, queriesOf } from "./query.ts";

/** dpkg and apt. What is cut short here can be completed: `dpkg --configure -a`. */
export const APT: PackageManager = {
  name: "apt-get",
  leaveMs: 30_000,
  hurry: "use longer or more words",
  list: installedPackages,
  search: searchPackages,
  parse: parseRequest,
  change,
  locks: aptLocks,
  audit: async (query, onLines) => await auditDpkg(await readDpkg(query) ?? [], query, onLines),
};

async function change(
  request: ChangeRequest,
  context: TaskContext,
  leaveMs: number,
): Promise<ChangeEnd> {
  const query = queriesOf(context);
  if (!await readDpkg(query)) throw needsApt();
  await refuseUnknown(request.names, query);
  const attempt = () => runApt(request, context, leaveMs);
  const { exitCode, error, before } = await whenUnlocked(await aptLocks(query), context, attempt);
  return {
    exitCode,
    error,
    changed: async (query) => {
      if (!before) return [];
      return changesBetween(presentIn(before), presentIn(await readDpkg(query) ?? before));
    },
  };
}
