import { resolve } from "@std/path";
import * as z from "@zod/zod";
import type { Command, Launch, Start } from "../privileges/launch.ts";
import {
  hasScopeAsRoot,
  NO_SCOPE,
  NOT_OPERATIONAL,
  operationalArgv,
  RootScope,
} from "../privileges/root_scopes.ts";
import { SudoRefusal } from "../privileges/sudo_refusal.ts";
import type { OutputChunk } from "../hosts/host.ts";
import { TimeLimit } from "../system/stall.ts";
import { messageOf } from "../system/user_error.ts";
import {
  byteLength,
  isPosixShell,
  loginShell,
  MAX_ARGUMENT_BYTES,
  MAX_ENVIRONMENT_BYTES,
} from "./long_command.ts";
import { marked, startLine, StartMark } from "./start_mark.ts";
import type { TaskContext, TaskOutcome, TaskType } from "./task_type.ts";
import { isPassed, packed, packedNames, probing, unnameable, unpacking } from "./unnameable.ts";

const noNul = (text: string) => !text.includes("\0");
const text = z.string().refine(noNul, "must not contain NUL");
const optionalText = text.nullish().transform((value) => value || undefined);

const ShellExec = z.looseObject({
  command: text.min(1, "must not be empty"),
  shell: optionalText,
  working_dir: optionalText,
  environment: z.record(
    z.string().regex(/^[^=\0]+$/, "is no name of an environment variable"),
    z.union([text, z.number(), z.boolean()], "must be text without NUL, a number, true or false")
      .transform(String),
  ).nullish().transform((value) => value ?? {}).superRefine((environment, context) => {
    let all = 0;
    const names = packedNames(environment);
    for (const [name, value] of Object.entries(environment)) {
      const packedName = names.get(name);
      const bytes = byteLength(
        `${packedName === undefined ? "" : `${packedName}=`}${name}=${value}`,
      );
      all += bytes;
      if (bytes <= MAX_ARGUMENT_BYTES) continue;
      const message = "is longer than the 128 KiB that Linux takes for one variable";
      context.addIssue({ code: "custom", path: [name], message });
    }
    if (all > MAX_ENVIRONMENT_BYTES) {
      context.addIssue({ code: "custom", message: "is longer than 768 KiB, which is too much" });
    }
  }),
  runAsRoot: z.boolean().nullish().transform((value) => value ?? false),
  rootScope: RootScope.nullish(),
}).refine(hasScopeAsRoot, NO_SCOPE);
type ShellExec = z.infer<typeof ShellExec>;

const DEFAULT_SHELL = "/bin/sh";
/** See {@linkcode withPassingShell}. */
const PASSING_SHELL = "/bin/bash";
/** So much of the end of standard error is looked at for the reason of a failure. */
const MAX_STDERR_BYTES = 16 * 1024;
/** How a command ends that is to show only that it begins; and how long that may take, in milliseconds. */
const [BEGUN, LOOK_MS] = [91, 30_000];
/** Of what a look prints no more is kept, in UTF-16 units. */
const MAX_LOOK_UNITS = 4_096;
/** Pagers wait for keys that nobody presses, and programs fold lines to a width that nobody has. */
const UNATTENDED = { PAGER: "cat", COLUMNS: "100000" };

/** `shell.exec`: runs a command in a login shell (contract: Types). */
export const shellExec: TaskType = {
  isGated: true,
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
        return { status: "failed", error: `the command cannot be started: ${messageOf(error)}` };
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
  start: Start,
  request: ShellExec,
  context: TaskContext,
): Promise<TaskOutcome | undefined> {
  const program = context.takenUp ??
    await context.start({ ...start, signal: context.signal, isKept: true });
  void program.exited.then(context.endTimeLimit);
  const stderr = new EndOfStderr();
  const mark = new StartMark(startLine(context.taskId));
  await context.keep(stderr.of(mark.of(program.output)));
  const { exitCode, signal, unkillable } = await program.ended;
  if (unkillable > 0) {
    await context.onLines("system", `[${unkillable} processes could not be ended]\n`);
  }
  // An earlier agent may have read that: then it is in the log.
  const hasBegun = mark.hasBegun || context.hasBegun?.();
  if (exitCode === 0 && saysItsStart(request) && !hasBegun) return undefined;
  if (exitCode === 0) return { status: "success", exitCode };
  const problem = PLACE_PROBLEM.exec(stderr.text)?.[1];
  if (exitCode === NOT_BEGUN && problem && isElsewhere(request)) {
    return { status: "failed", error: sentenceOf(problem, request) };
  }
  const sudoRefusal = new SudoRefusal();
  if (request.runAsRoot && context.privileges.sudo) {
    sudoRefusal.push(context.mask.apply(stderr.text));
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
    const program = await context.start({ ...launch({ argv, env }), signal, isLook: true });
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

/** What a program that could not begin has said last. */
class EndOfStderr {
  #bytes = new Uint8Array();

  /** Passes an output on, and keeps the end of its standard error. */
  async *of(output: AsyncIterable<OutputChunk>): AsyncGenerator<OutputChunk, void> {
    for await (const chunk of output) {
      if (chunk.stream === "stderr") {
        const all = new Uint8Array(this.#bytes.length + chunk.bytes.length);
        all.set(this.#bytes);
        all.set(chunk.bytes, this.#bytes.length);
        this.#bytes = all.slice(-MAX_STDERR_BYTES);
      }
      yield chunk;
    }
  }

  /** The text of it. */
  get text(): string {
    return new TextDecoder().decode(this.#bytes);
  }
}

/** What to run, or the sentence that says why it cannot be. `mark` is the line that it begins with. */
function commandOf(request: ShellExec, mark: string): Command | string {
  const { command, shell = DEFAULT_SHELL, working_dir: folder, environment } = request;
  if (request.runAsRoot && request.rootScope === "operational") {
    const argv = operationalArgv(command);
    if (!argv) return NOT_OPERATIONAL;
    // PATH or APT_CONFIG would make another command of it.
    if (Object.keys(environment).length > 0) return 'rootScope "operational" takes no environment';
    return { argv };
  }
  const env = { ...UNATTENDED, ...packed(environment) };
  const login = loginShell(shell, saysItsStart(request) ? marked(command, mark) : command);
  if (typeof login === "string") return login;
  const argv = unpacking(environment, login);
  if (argv !== login && shell.includes("=")) {
    return 'payload.shell: with "=" in it, it takes no variables that no shell can name';
  }
  if (!isElsewhere(request)) return { argv, env };
  const place = folder === undefined ? "" : resolve(folder);
  return { argv: ["/bin/sh", "-c", IN_PLACE, "sh", shell, place, ...argv], env };
}

/** What a login profile does to a command that it does not let begin. */
const NEVER_BEGAN = "the command never began: the login shell ended before it, so a profile " +
  "(/etc/profile, ~/.profile) calls exit or exec; `noderax-agent doctor` checks it";

/** Whether the command tells that it begins: one of a shell that is known. */
function saysItsStart({ shell = DEFAULT_SHELL, runAsRoot, rootScope }: ShellExec): boolean {
  return isPosixShell(shell) && !(runAsRoot && rootScope === "operational");
}

/** Whether the command has a shell or a folder of its own, which may not be there. */
function isElsewhere({ shell, working_dir }: ShellExec): boolean {
  return (shell ?? DEFAULT_SHELL) !== DEFAULT_SHELL || working_dir !== undefined;
}

/** How a process ends that could not begin its command; it has said why on standard error. */
const NOT_BEGUN = 126;
const PLACE_PROBLEM =
  /^noderax-agent: (no such shell|shell not executable|no such folder|folder not open)$/m;

/**
 * Goes to the folder `$2` and begins there, if `$1` is a shell. All of it happens in the process of
 * the command, with its rights and its search path: a folder that does not answer (a dead network
 * mount) holds nobody but the command, which has its time limit and can be cancelled.
 */
const IN_PLACE = `
refuse() { echo "noderax-agent: $1" >&2; exit ${NOT_BEGUN}; }
case $1 in
  /*) [ -f "$1" ] || refuse "no such shell"; [ -x "$1" ] || refuse "shell not executable" ;;
  */*) ;;
  *) command -v -- "$1" >/dev/null || refuse "no such shell" ;;
esac
if [ -n "$2" ]; then
  [ -d "$2" ] || refuse "no such folder"
  cd -- "$2" 2>/dev/null || refuse "folder not open"
  unset OLDPWD
fi
unset -f refuse
shift 2
exec "$@"`;

/** What {@linkcode IN_PLACE} has refused, in the words of the payload. */
function sentenceOf(problem: string, { shell, working_dir: folder }: ShellExec): string {
  switch (problem) {
    case "no such shell":
      return `payload.shell: there is no program ${shell} on this machine`;
    case "shell not executable":
      return `payload.shell: ${shell} is not executable`;
    case "no such folder":
      return `payload.working_dir: there is no folder ${folder}`;
    default:
      return `payload.working_dir: the user of this task may not enter ${folder}`;
  }
}
