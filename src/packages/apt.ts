import type { TaskContext } from "../tasks/task_type.ts";
import { asArgument } from "./apt_names.ts";
import type { ChangeRequest } from "./package_manager.ts";
import { DPKG_FORMAT, type DpkgRecord, parseDpkg } from "./dpkg.ts";
import { needsApt, NO_SUCH_PROGRAM, PLAIN } from "./query.ts";
import { type ManagerEnd, runManager } from "./run_manager.ts";

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
/** What apt tells of the packages whose dependencies cannot be met, one a paragraph. */
const UNMET = /^The following packages have unmet dependencies:\n((?: .*\n)+)/m;

/** How apt ended. */
export interface AptEnd extends ManagerEnd {
  /** Whether it met somebody else's lock, and has done nothing. */
  locked: boolean;
  /** What dpkg's database held when apt began to change it; undefined if it never did. */
  before: DpkgRecord[] | undefined;
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
  const look = new DpkgSnapshot();
  // Whoever names a version or a suite wants that one, even if it is older.
  const downgrades = names.some((name) => /[=/]/.test(name)) ? ["--allow-downgrades"] : [];
  const options = [...downgrades, "-o", look.aptOption];
  const end = await runManager({
    argv: [...APT_GET, ...options, operation, "--", ...names.map(asArgument)],
    name: "apt-get",
    env: UNATTENDED,
    backend: "dpkg",
    leaveMs,
    take: (lines) => look.take(lines),
    reasons: reasonsIn,
  }, context);
  if (end.exitCode === NO_SUCH_PROGRAM) throw needsApt();
  const before = look.records;
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
 * What dpkg's database held when apt's turn had come: apt itself prints it, holding dpkg's lock,
 * before it lets dpkg change anything. A look by the agent could come too late, or before another
 * program's change that apt has waited for.
 */
export class DpkgSnapshot {
  readonly #mark: string = crypto.randomUUID();
  #looks = 0;
  #text = "";

  /** The option of apt-get that has the look taken; a look that fails must not stop apt. */
  get aptOption(): string {
    const look = `dpkg-query -W -f '${this.#mark}\\t${DPKG_FORMAT}' || true`;
    return `DPkg::Pre-Invoke::=echo ${this.#mark}; ${look}`;
  }

  /** Gives back apt's lines without those of the look. */
  take(lines: string): string {
    if (!lines.includes(this.#mark)) return lines;
    return lines.split(/(?<=\n)/).filter((line) => !this.#takeLine(line)).join("");
  }

  /** What there was; undefined if apt has never let dpkg do anything. */
  get records(): DpkgRecord[] | undefined {
    return this.#looks === 0 ? undefined : parseDpkg(this.#text);
  }

  #takeLine(line: string): boolean {
    if (!line.startsWith(this.#mark)) return false;
    const record = line.slice(this.#mark.length + 1);
    if (record === "") this.#looks++;
    // Between two runs of dpkg apt looks again, and then at its own changes.
    else if (this.#looks === 1) this.#text += record;
    return true;
  }
}
