import type { TaskContext } from "../tasks/task_type.ts";
import { quoted } from "../hosts/shell_text.ts";
import { asArgument } from "./apt_names.ts";
import type { ChangeRequest } from "./package_manager.ts";
import { DPKG_FORMAT, type DpkgRecord, parseDpkg } from "./dpkg.ts";
import { needsApt, NO_SUCH_PROGRAM, PLAIN } from "./query.ts";
import { type Leaving, type ManagerEnd, runManager } from "./run_manager.ts";

/** Nobody is there to answer. A pattern in place of a name would be more than was asked for. */
const APT_GET = [
  "apt-get",
  "-y",
  "-q",
  ...[
    "Dpkg::Use-Pty=0",
    "Dpkg::Options::=--force-confdef",
    "Dpkg::Options::=--force-confold",
    // The agent waits itself, for the locks too for which apt does not.
    "DPkg::Lock::Timeout=0",
    "APT::Cmd::Pattern-Only=true",
  ].flatMap((option) => ["-o", option]),
] as const;
const UNATTENDED = {
  ...PLAIN,
  DEBIAN_FRONTEND: "noninteractive",
  NEEDRESTART_MODE: "l",
  NEEDRESTART_SUSPEND: "1",
  APT_LISTCHANGES_FRONTEND: "none",
};
/** How apt says that it has met a lock. */
const LOCKED = /^E: (?:Could not get lock|Unable to (?:acquire|lock)) /m;
/** How dpkg tells what it does. */
const HAS_CHANGED = /^(?:Unpacking|Setting up|Removing|Purging configuration files for) /m;
/** What apt tells of the packages whose dependencies cannot be met, one a paragraph. */
const UNMET = /^The following packages have unmet dependencies:\n((?: .*\n)+)/m;

/** How apt ended. */
export interface AptEnd extends ManagerEnd {
  /** Whether it met somebody else's lock, and has done nothing. */
  locked: boolean;
  /**
   * What dpkg's database held when apt began to change it, nothing where nobody could look; undefined
   * if it never did.
   */
  before: DpkgRecord[] | undefined;
}

/** How apt-get leaves. */
export function aptLeaves(leaveMs: number): Leaving {
  return { name: "apt-get", backend: "dpkg", leaveMs };
}

/**
 * Runs apt-get. When the task is to end, it leaves as soon as dpkg has finished what it is at, and
 * has `leaveMs` to do so.
 *
 * @throws {UserError} where there is no apt-get or it may not be run.
 */
export async function runApt(
  { operation, names }: ChangeRequest,
  context: TaskContext,
  leaveMs: number,
): Promise<AptEnd> {
  const look = context.note("before");
  if (!context.takenUp) await Deno.remove(look).catch(() => {});
  // Whoever names a version or a suite wants that one, even if it is older.
  const downgrades = names.some((name) => /[=/]/.test(name)) ? ["--allow-downgrades"] : [];
  const options = [...downgrades, "-o", lookBefore(look)];
  const end = await runManager({
    argv: [...APT_GET, ...options, operation, "--", ...names.map(asArgument)],
    ...aptLeaves(leaveMs),
    env: UNATTENDED,
    reasons: reasonsIn,
  }, context);
  if (end.exitCode === NO_SUCH_PROGRAM) throw needsApt();
  const before = await readLook(look) ?? (HAS_CHANGED.test(end.stdout) ? [] : undefined);
  const locked = end.exitCode !== 0 && before === undefined && LOCKED.test(end.stderr);
  return { ...end, locked, before };
}

/** What apt and dpkg give as their reasons, in one line. */
export function reasonsIn(stdout: string, stderr: string): string {
  const unmet = UNMET.exec(stdout)?.[1]?.replace(/\n {2,}/g, ", ").trim().split("\n ") ?? [];
  const reasons = stderr.matchAll(/^E: (.*(?:\n {2,}.*)*)$|^dpkg: error (.*\n .*)$/gm);
  const told = [...reasons].map(([, apt, dpkg]) => apt ?? `dpkg: ${dpkg}`);
  return [...told, ...unmet].map((reason) => reason.replace(/\s+/g, " ")).join("; ");
}

/**
 * The option of apt-get that has the contents of dpkg's database written to a file when apt's turn has
 * come: apt itself does it, holding dpkg's lock, before it lets dpkg change anything. A look by the
 * agent could come too late, or before another program's change that apt has waited for. Only the
 * first look counts: between two runs of dpkg apt looks again, and then at its own changes. A look that
 * fails must not stop apt.
 */
export function lookBefore(path: string): string {
  const [file, part] = [quoted(path), quoted(`${path}.part`)];
  const look = `dpkg-query -W -f '${DPKG_FORMAT}' >${part} || echo failed >${part}`;
  // A shell ends over a place that it cannot write to: that must not be the one that apt asks.
  return `DPkg::Pre-Invoke::=[ -e ${file} ] || ({ ${look}; }; mv -f ${part} ${file}) 2>/dev/null || true`;
}

/**
 * What {@linkcode lookBefore} has written, which is nothing if the look has failed; undefined if apt has
 * never let dpkg do anything.
 */
export async function readLook(path: string): Promise<DpkgRecord[] | undefined> {
  try {
    return parseDpkg(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
