import { SudoRefusal } from "../privileges/sudo_refusal.ts";
import { runProcess } from "../hosts/run_process.ts";
import type { ProcessId } from "../hosts/process_table.ts";
import { signalProcess, signalThroughSudo } from "../hosts/signal_process.ts";
import type { TaskContext } from "../tasks/task_type.ts";
import { PLAIN } from "./query.ts";
import { rootCommand } from "./root_command.ts";

/** Of what is said so much is looked at for reasons, in UTF-16 units. */
const MAX_SAID = 50_000;
/** So much of it is told as the reason. */
const MAX_REASON = 1_000;
/** What a script of a package or rpm itself may open; rpm closes all that might be open, one by one. */
const LIMITED = ["/bin/sh", "-c", 'ulimit -S -n 1024 2>/dev/null; exec "$0" "$@"'];
/** dnf 4's word for a lock that somebody else holds. */
export const LOCKED = 200;

/** How dnf ended. */
export interface DnfEnd {
  /** Its exit code. */
  exitCode: number;
  /** Why it failed, in its own words where it had any; undefined if it did not. */
  error: string | undefined;
  /** All that it has said, or the last of it. */
  said: string;
}

/**
 * Runs dnf, with nobody to answer a question; its output goes to the task's log. When the task is to
 * end, dnf gets SIGINT: before a transaction it leaves at once, and rpm finishes one that has begun.
 *
 * @throws {UserError} where it may not be run.
 */
export async function runDnf(
  argv: [program: string, ...args: string[]],
  context: TaskContext,
  leaveMs: number,
): Promise<DnfEnd> {
  const command = await rootCommand(context, [...LIMITED, ...argv], { ...PLAIN, TERM: "dumb" });
  const sudoRefusal = new SudoRefusal();
  let stderr = "";
  let said = "";
  const { exitCode, signal, unkillable } = await runProcess({
    taskId: context.taskId,
    argv: command.argv,
    ...(command.env ? { env: command.env } : {}),
    mask: context.mask,
    signal: context.signal,
    onSpawn: context.onSpawn,
    onLines: (stream, lines) => {
      said = (said + lines).slice(-MAX_SAID);
      if (stream === "stderr") {
        if (context.privileges.sudo) sudoRefusal.push(lines);
        stderr = (stderr + lines).slice(-MAX_SAID);
      }
      return context.onLines(stream, lines);
    },
    askFirst: { ask: (dnf) => interrupt(dnf, context), graceMs: leaveMs },
  });
  if (unkillable > 0) {
    await context.onLines("system", `[${unkillable} processes could not be ended]\n`);
  }
  if (exitCode === 0) return { exitCode, error: undefined, said };
  const end = signal ? `was ended by ${signal}` : `exited with code ${exitCode}`;
  const reason = stderr.replace(/\s+/g, " ").trim().slice(-MAX_REASON);
  const error = sudoRefusal.sentence(exitCode) ?? (reason || `${argv[0]} ${end}`);
  return { exitCode, error, said };
}

/** Only dnf gets the signal: it lets rpm and the scripts of packages finish. */
async function interrupt(dnf: ProcessId, { onLines }: TaskContext): Promise<void> {
  await onLines("system", "[dnf is asked to stop, rpm may finish what it is at]\n");
  if (signalProcess(dnf, "SIGINT") === "refused") await signalThroughSudo([dnf], "SIGINT");
}
