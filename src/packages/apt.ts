import { SudoRefusal } from "../privileges/sudo_refusal.ts";
import { type ProcessResult, runProcess } from "../hosts/run_process.ts";
import type { ProcessId } from "../hosts/process_table.ts";
import { signalProcess, signalThroughSudo } from "../hosts/signal_process.ts";
import type { TaskContext } from "../tasks/task_type.ts";
import type { DpkgRecord } from "./dpkg.ts";
import { DpkgSnapshot } from "./dpkg_snapshot.ts";
import { LOCK_WAIT_S, LockWait } from "./lock_wait.ts";
import { asArgument } from "./apt_names.ts";
import type { ChangeRequest } from "./change_request.ts";
import { rootCommand } from "./root_command.ts";
import { needsApt, NO_SUCH_PROGRAM, PLAIN } from "./query.ts";

/** Of standard error so much is looked at for reasons, in UTF-16 units. */
const MAX_STDERR = 50_000;

/** Nobody is there to answer. A pattern in place of a name would be more than was asked for. */
const APT_GET = [
  "apt-get",
  "-y",
  "-q",
  ...[
    "Dpkg::Use-Pty=0",
    "Dpkg::Options::=--force-confdef",
    "Dpkg::Options::=--force-confold",
    `DPkg::Lock::Timeout=${LOCK_WAIT_S}`,
    "APT::Cmd::Pattern-Only=true",
  ].flatMap((option) => ["-o", option]),
];
const UNATTENDED = {
  ...PLAIN,
  DEBIAN_FRONTEND: "noninteractive",
  NEEDRESTART_MODE: "l",
  NEEDRESTART_SUSPEND: "1",
  APT_LISTCHANGES_FRONTEND: "none",
};

/** How apt ended. */
export interface AptEnd {
  /** Its exit code. */
  exitCode: number;
  /** Why it failed, in its own words where it had any; undefined if it did not. */
  error: string | undefined;
  /** What dpkg's database held when apt began to change it; undefined if it never did. */
  before: DpkgRecord[] | undefined;
}

/**
 * Runs apt-get; its output goes to the task's log. When the task is to end, apt gets SIGINT, on
 * which it leaves as soon as dpkg has finished what it is at, and `leaveMs` to do so.
 *
 * @throws {UserError} where there is no apt-get or it may not be run.
 */
export async function runApt(
  request: ChangeRequest,
  context: TaskContext,
  leaveMs: number,
): Promise<AptEnd> {
  const look = new DpkgSnapshot();
  const packages = request.names.map(asArgument);
  // Whoever names a version or a suite wants that one, even if it is older.
  const downgrades = request.names.some((name) => /[=/]/.test(name)) ? ["--allow-downgrades"] : [];
  const options = [...downgrades, "-o", look.aptOption];
  const argv = [...APT_GET, ...options, request.operation, "--", ...packages];
  const sudoRefusal = new SudoRefusal();
  const lockWait = new LockWait(context.onLines);
  let stderr = "";
  const command = await rootCommand(context, argv, UNATTENDED);
  await lockWait.look();
  // Field by field: what the context has for others (its programs, its limits) is not apt's.
  const end = await runProcess({
    taskId: context.taskId,
    argv: command.argv,
    ...(command.env ? { env: command.env } : {}),
    mask: context.mask,
    signal: context.signal,
    onSpawn: context.onSpawn,
    onLines: (stream, lines) => {
      if (stream === "stderr") {
        if (context.privileges.sudo) sudoRefusal.push(lines);
        stderr = (stderr + lines).slice(-MAX_STDERR);
      }
      return lockWait.push(stream, look.take(lines));
    },
    askFirst: { ask: (apt) => interrupt(apt, context), graceMs: leaveMs },
  });
  if (end.exitCode === NO_SUCH_PROGRAM) throw needsApt();
  if (end.unkillable > 0) {
    await context.onLines("system", `[${end.unkillable} processes could not be ended]\n`);
  }
  const { exitCode } = end;
  const before = look.records;
  if (exitCode === 0) return { exitCode, error: undefined, before };
  const error = sudoRefusal.sentence(exitCode) ?? (reasonsIn(stderr) || endOf(end));
  return { exitCode, error, before };
}

/** Only apt gets the signal: it lets dpkg and the scripts of packages finish. */
async function interrupt(apt: ProcessId, { onLines }: TaskContext): Promise<void> {
  await onLines("system", "[apt is asked to stop, it may finish what dpkg is at]\n");
  if (signalProcess(apt, "SIGINT") === "refused") await signalThroughSudo([apt], "SIGINT");
}

/** What apt and dpkg give as their reasons, in one line. */
export function reasonsIn(stderr: string): string {
  const reasons = stderr.matchAll(/^E: (.*)$|^dpkg: error (.*\n .*)$/gm);
  return [...reasons].map(([, apt, dpkg]) => apt ?? `dpkg: ${dpkg?.replace(/\n +/, " ")}`)
    .join("; ");
}

function endOf({ exitCode, signal }: ProcessResult): string {
  return signal ? `apt-get was ended by ${signal}` : `apt-get exited with code ${exitCode}`;
}
