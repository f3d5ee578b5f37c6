import { delay } from "@std/async";
import type { HostCommand, Program } from "../hosts/host.ts";
import type { ProcessGroup } from "../hosts/process_table.ts";
import { signalProcess, signalThroughSudo } from "../hosts/signal_process.ts";
import { SudoRefusal } from "../privileges/sudo_refusal.ts";
import { UserError } from "../system/user_error.ts";
import type { TaskContext } from "../tasks/task_type.ts";
import { Said } from "./said.ts";

/** How often it is looked whether it is still at what must not be cut short, in milliseconds. */
const LOOK_EVERY_MS = 500;

/** A package manager that is asked to stop, and how. */
export interface Leaving {
  /** What it goes by in sentences. */
  name: string;
  /** What does its work, which it lets finish when it is asked to stop: `dpkg`, `rpm`. */
  backend: string;
  /** Whether the program is at something now that even a request to stop could cut short. */
  isAtWork?: (program: ProcessGroup) => Promise<boolean>;
  /** How long it may take to leave after that, in milliseconds. */
  leaveMs: number;
}

/** A package manager to run as root. */
export interface ManagerRun extends Leaving {
  /** The program with its arguments. */
  argv: readonly string[];
  /** Additional environment. */
  env: Record<string, string>;
  /** Its own reasons for a failure; "" if it has given none. */
  reasons(stdout: string, stderr: string): string;
}

/** How a package manager ended. */
export interface ManagerEnd {
  /** Its exit code. */
  exitCode: number;
  /** Why it failed, in its own words where it had any; undefined if it did not. */
  error: string | undefined;
  /** What it has said on standard output, or the last of it. */
  stdout: string;
  /** The same of standard error. */
  stderr: string;
}

/** For several attempts of a task: only the first goes on with a program that was taken up. */
export function contextsOf(context: TaskContext): () => TaskContext {
  const { takenUp: _, ...anew } = context;
  let next = context;
  return () => {
    const now = next;
    next = anew;
    return now;
  };
}

/** How a package manager is asked to leave, by whichever agent runs its task then. */
export function asksFirst(
  leaving: Leaving,
  context: Pick<TaskContext, "onLines">,
): NonNullable<HostCommand["askFirst"]> {
  return { ask: (program) => askToStop(program, leaving, context), graceMs: leaving.leaveMs };
}

/**
 * Runs a package manager as root, with nobody to answer a question, or goes on with one that was
 * taken up; its output goes to the task's log. When the task is to end, it gets SIGINT, on which it
 * leaves as soon as it may.
 *
 * @throws {UserError} if this node's root access profile does not allow it.
 */
export async function runManager(run: ManagerRun, context: TaskContext): Promise<ManagerEnd> {
  const program = context.takenUp ?? await begin(run, context);
  const said = await Said.open(context);
  await context.keep(said.of(program.output));
  const { exitCode, signal, unkillable } = await program.ended;
  if (unkillable > 0) {
    await context.onLines("system", `[${unkillable} processes could not be ended]\n`);
  }
  const { stdout, stderr } = said;
  if (exitCode === 0) return { exitCode, error: undefined, stdout, stderr };
  const sudoRefusal = new SudoRefusal();
  if (context.privileges.sudo) sudoRefusal.push(stderr);
  const end = signal ? `was ended by ${signal}` : `exited with code ${exitCode}`;
  const reasons = sudoRefusal.sentence(exitCode) ?? run.reasons(stdout, stderr);
  return { exitCode, error: reasons || `${run.name} ${end}`, stdout, stderr };
}

async function begin(run: ManagerRun, context: TaskContext): Promise<Program> {
  const { privileges } = context;
  const refusal = await privileges.allows("operational", context.signal);
  if (refusal !== undefined) throw new UserError(refusal);
  const command = privileges.root({ argv: [...run.argv], env: run.env });
  return await context.start({
    argv: command.argv,
    env: command.env,
    inUnit: command.inUnit,
    signal: context.signal,
    askFirst: asksFirst(run, context),
    isKept: true,
  });
}

/** Only the program itself gets the signal: its children and the scripts of packages may finish. */
async function askToStop(
  program: ProcessGroup,
  { name, backend, isAtWork }: Leaving,
  { onLines }: Pick<TaskContext, "onLines">,
): Promise<void> {
  if (await isAtWork?.(program)) {
    await onLines("system", `[${backend} is changing packages: it is left to finish]\n`);
    while (await isAtWork?.(program)) await delay(LOOK_EVERY_MS);
    return;
  }
  await onLines("system", `[${name} is asked to stop, ${backend} may finish what it is at]\n`);
  if (signalProcess(program, "SIGINT") === "refused") await signalThroughSudo([program], "SIGINT");
}
