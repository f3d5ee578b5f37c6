import { type Holder, lockHolder } from "../system/kernel_locks.ts";
import type { Query } from "./query.ts";

/** What dnf 5 holds while it changes packages. */
const DNF5_LOCK = "/run/dnf/rpmtransaction.lock";

/** The lock files of a transaction of rpm, whoever has started it. */
export async function rpmLocks(query: Query): Promise<string[]> {
  const { exitCode, stdout } = await query("rpm", "--eval", "%{_rpmlock_path}");
  const lock = stdout.trim();
  return exitCode === 0 && lock.startsWith("/") ? [lock, DNF5_LOCK] : [DNF5_LOCK];
}

/** Who holds one of the locks. */
export function holderAmong(locks: string[]): Holder | undefined {
  for (const lock of locks) {
    const holder = lockHolder(lock);
    if (holder) return holder;
  }
  return undefined;
}
