import type { Launch, Start } from "../privileges/launch.ts";
import { SudoRefusal } from "../privileges/sudo_refusal.ts";
import { TimeLimit } from "../system/stall.ts";
import { messageOf } from "../system/user_error.ts";
import { startLine } from "./command_output.ts";
import {
  commandOf,
  DEFAULT_SHELL,
  placeProblem,
  saysItsStart,
  ShellExec,
} from "./shell_command.ts";
import type { TaskContext, TaskOutcome, TaskType } from "./task_type.ts";
import { unitProblem } from "./unit_problem.ts";
import { isPassed, probing, unnameable } from "./unnameable.ts";

/** See {@linkcode withPassingShell}. */
const PASSING_SHELL = "/bin/bash";
/** How a command ends that is to show only that it begins; and how long that may take, in milliseconds. */
const [BEGUN, LOOK_MS] = [91, 30_000];
/** Of what a look prints no more is kept, in UTF-16 units. */
const MAX_LOOK_UNITS = 4_096;

/** `shell.exec`: runs a command in a login shell (contract: Types). */
export const shellExec: TaskType = {
  isGated: true,
  mayBeginAnew: true,
  mayBeTakenUp: true,
  prepare(payload) {
    const request = ShellExec.parse(payload);
    return async (context): Promise<TaskOutcome> => {
      const { privileges: { allows }, signal, takenUp } = context;
      const { runAsRoot, rootScope } = request;
      let refusal: string | undefined;
      if (runAsRoot && rootScope && !takenUp) {
        // What is allowed may change while the control plane is asked whether the task is to run.
        await context.begun;
        refusal = await allows(rootScope, signal);
      }
      if (refusal !== undefined) return { status: "failed", error: refusal };
      try {
        const { unprivileged, root } = context.privileges;
        const launch = request.runAsRoot ? root : unprivileged;
        const mark = startLine(context.taskId);
        const problem = commandOf(request, mark);
        if (typeof problem === "string") return { status: "failed", error: problem };
        const passing = context.takenUp
          ? request
          : await withPassingShell(launch, request, context);
        const command = commandOf(passing, mark);
        if (typeof command === "string") return { status: "failed", error: command };
        const outcome = await run(launch(command), passing, context);
        return outcome ?? await withoutMark(launch, passing, context);
      } catch (error) {
        throw new Error(`the command cannot be started: ${messageOf(error)}`, { cause: error });
      }
    };
  },
};

/**
 * The request with a shell that hands on to programs what no shell can name, where the payload leaves
 * the choice: dash does not, bash does. Else the log says what does not arrive, and what to do.
 */
async function withPassingShell(
  launch: Launch,
  request: ShellExec,
  context: TaskContext,
): Promise<ShellExec> {
  const odd = unnameable(request.environment);
  const { shell = DEFAULT_SHELL } = request;
  const passes = async (shell: string) =>
    isPassed((await look(launch, probing(shell), context)).stdout);
  if (odd.length === 0 || await passes(shell)) return request;
  const names = odd.map((name) => name.replaceAll(/\p{Cc}/gu, "?")).join(", ");
  if (request.shell === undefined && await passes(PASSING_SHELL)) {
    const why = `${shell} does not hand these variables on to programs: ${names}`;
    await context.onLines("system", `[${PASSING_SHELL} runs the command, as ${why}]\n`);
    return { ...request, shell: PASSING_SHELL };
  }
  const why = `${shell} does not hand on to programs what it cannot name`;
  const line = `[these variables reach the shell alone, as ${why}; bash does: ${names}]\n`;
  await context.onLines("system", line);
  return request;
}

/** Runs the command; `undefined` if it went well, but did not say that it began. */
async function run(
  { argv, env, inUnit }: Start,
  request: ShellExec,
  context: TaskContext,
): Promise<TaskOutcome | undefined> {
  const program = context.takenUp ??
    await context.start({ argv, env, inUnit, signal: context.signal, isKept: true });
  void program.exited.then(context.endTimeLimit);
  const { hasBegun, stderr } = await context.keep(program.output);
  const { exitCode, signal, unkillable } = await program.ended;
  if (unkillable > 0) {
    await context.onLines("system", `[${unkillable} processes could not be ended]\n`);
  }
  if (exitCode === 0 && saysItsStart(request) && !hasBegun) return undefined;
  if (exitCode === 0) return { status: "success", exitCode };
  const { unit } = program.group;
  const neverBegan = !hasBegun && unit !== undefined && inUnit && saysItsStart(request)
    ? unitProblem(exitCode, unit, inUnit.user.name)
    : undefined;
  const problem = neverBegan ?? placeProblem(exitCode, stderr, request);
  if (problem !== undefined) return { status: "failed", error: problem };
  const sudoRefusal = new SudoRefusal();
  if (request.runAsRoot && context.privileges.sudo) {
    sudoRefusal.push(context.mask.apply(stderr));
  }
  const error = signal
    ? `the command was ended by ${signal}`
    : sudoRefusal.sentence(exitCode) ?? `the command exited with code ${exitCode}`;
  return { status: "failed", exitCode, error };
}

/**
 * The outcome of a command that went well and did not say that it began: a profile may have sent
 * that elsewhere with all that is printed. Whether the profile lets a command begin at all, the exit
 * code of another one tells.
 */
async function withoutMark(
  launch: Launch,
  request: ShellExec,
  context: TaskContext,
): Promise<TaskOutcome> {
  const command = commandOf({ ...request, command: `exit ${BEGUN}` }, startLine(context.taskId));
  if (typeof command === "string") throw new Error(command);
  const { argv, env = {} } = command;
  const { exitCode } = await look(launch, argv, context, env);
  // A look that fails, or takes too long, tells nothing against the command.
  return exitCode === BEGUN || exitCode === undefined
    ? { status: "success", exitCode: 0 }
    : { status: "failed", exitCode: 0, error: NEVER_BEGAN };
}

/**
 * Runs something else than the command, with its rights; its exit code is undefined if it does not
 * start, or takes too long.
 */
async function look(
  launch: Launch,
  argv: string[],
  context: TaskContext,
  env: Record<string, string> = {},
): Promise<{ exitCode: number | undefined; stdout: string }> {
  const late = new AbortController();
  const signal = AbortSignal.any([context.signal, late.signal]);
  const decoder = new TextDecoder();
  let stdout = "";
  try {
    const start = launch({ argv, env });
    const program = await context.start({
      argv: start.argv,
      env: start.env,
      inUnit: start.inUnit,
      signal,
      isLook: true,
    });
    // From here on: before it runs, the control plane may have to be waited for.
    using limit = new TimeLimit(LOOK_MS);
    limit.signal.addEventListener("abort", () => late.abort(limit.signal.reason), { once: true });
    for await (const { stream, bytes } of program.output) {
      if (stream === "stdout") stdout = (stdout + decoder.decode(bytes)).slice(-MAX_LOOK_UNITS);
    }
    const { exitCode } = await program.ended;
    return { exitCode: late.signal.aborted ? undefined : exitCode, stdout };
  } catch {
    return { exitCode: undefined, stdout };
  }
}

/** What a login profile does to a command that it does not let begin. */
const NEVER_BEGAN = "the command never began: the login shell ended before it, so a profile " +
  "(/etc/profile, ~/.profile) calls exit or exec; `noderax-agent doctor` checks it";
