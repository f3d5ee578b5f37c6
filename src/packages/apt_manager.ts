import { auditAfterApt, changeByApt } from "./apt_change.ts";
import { installedPackages } from "./apt_list.ts";
import { parseRequest } from "./apt_names.ts";
import { searchPackages } from "./apt_search.ts";
import type { PackageManager } from "./package_manager.ts";

/** dpkg and apt. */
export const APT: PackageManager = {
  leaveMs: 30_000,
  list: installedPackages,
  search: searchPackages,
  parse: parseRequest,
  change: changeByApt,
  audit: auditAfterApt,
};
