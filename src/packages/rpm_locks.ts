import type { Locks } from "./lock_patience.ts";
import type { Query } from "./query.ts";

/** What dnf 5 holds besides, from its start and during a transaction. */
const DNF5_LOCKS = ["/var/lib/dnf/system-repo.lock", "/run/dnf/rpmtransaction.lock"];

/** The lock that rpm holds during a transaction, whoever has started it; undefined without rpm. */
export async function transactionLock(query: Query): Promise<string | undefined> {
  const { exitCode, stdout } = await query("rpm", "--eval", "%{_rpmlock_path}");
  const path = stdout.trim();
  return exitCode === 0 && path.startsWith("/") ? path : undefined;
}

/** Every lock that a change of packages would meet. */
export async function rpmLocks(query: Query): Promise<Locks> {
  const lock = await transactionLock(query);
  return { what: "rpm", paths: lock === undefined ? DNF5_LOCKS : [lock, ...DNF5_LOCKS] };
}
