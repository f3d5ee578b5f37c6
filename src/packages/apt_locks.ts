import { join } from "@std/path";
import type { Locks } from "./lock_patience.ts";
import type { Query } from "./query.ts";

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
