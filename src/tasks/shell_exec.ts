import { resolve } from "@std/path";
import * as z from "@zod/zod";
import type { Command, Launch, Start } from "../privileges/launch.ts";
import { NOT_OPERATIONAL, operationalArgv } from "../privileges/operational.ts";
import { RootScope } from "../privileges/root_scopes.ts";
import { SudoRefusal } from "../privileges/sudo_refusal.ts";
import { runProcess } from "../process/run_process.ts";
import { messageOf } from "../system/user_error.ts";
import type { TaskContext, TaskOutcome, TaskType } from "./task_type.ts";

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
  ).nullish().transform((value) => value ?? {}),
  runAsRoot: z.boolean().nullish().transform((value) => value ?? false),
  rootScope: RootScope.nullish().transform((value) => value ?? "task"),
});
type ShellExec = z.infer<typeof ShellExec>;

const DEFAULT_SHELL = "/bin/sh";
/** Pagers wait for keys that nobody presses, and programs fold lines to a width that nobody has. */
const UNATTENDED = { PAGER: "cat", COLUMNS: "100000" };

/** `shell.exec`: runs a command in a login shell (contract: Types). */
export const shellExec: TaskType = {
  prepare(payload) {
    const request = ShellExec.parse(payload);
    return async (context): Promise<TaskOutcome> => {
      const { privileges: { allows }, signal } = context;
      const refusal = request.runAsRoot ? await allows(request.rootScope, signal) : undefined;
      if (refusal !== undefined) return { status: "failed", error: refusal };
      try {
        const { usual, root } = context.privileges;
        const launch = request.runAsRoot ? root : usual;
        const command = await commandOf(request, launch);
        if (typeof command === "string") return { status: "failed", error: command };
        return await run(launch(command), request.runAsRoot, context);
      } catch (error) {
        return { status: "failed", error: `the command cannot be started: ${messageOf(error)}` };
      }
    };
  },
};

async function run(
  { leftOut, ...start }: Start,
  asRoot: boolean,
  context: TaskContext,
): Promise<TaskOutcome> {
  if (leftOut) {
    const names = leftOut.map((name) => name.replaceAll(/\p{Cc}/gu, "?")).join(", ");
    await context.onLines(
      "system",
      `[no shell can set these variables, they are left out: ${names}]\n`,
    );
  }
  const sudoRefusal = new SudoRefusal();
  const { exitCode, signal, unkillable } = await runProcess({
    ...context,
    ...start,
    onExit: context.endTimeLimit,
    onLines: (stream, lines) => {
      if (asRoot && context.privileges.sudo && stream === "stderr") sudoRefusal.push(lines);
      return context.onLines(stream, lines);
    },
  });
  if (unkillable > 0) {
    await context.onLines("system", `[${unkillable} processes could not be ended]\n`);
  }
  if (exitCode === 0) return { status: "success", exitCode };
  const error = signal
    ? `the command was ended by ${signal}`
    : sudoRefusal.sentence(exitCode) ?? `the command exited with code ${exitCode}`;
  return { status: "failed", exitCode, error };
}

/** What to run, or the sentence that says why it cannot be. */
async function commandOf(request: ShellExec, launch: Launch): Promise<Command | string> {
  const { command, shell = DEFAULT_SHELL, working_dir: cwd, environment } = request;
  if (request.runAsRoot && request.rootScope === "operational") {
    const argv = operationalArgv(command);
    if (!argv) return NOT_OPERATIONAL;
    // PATH or APT_CONFIG would make another command of it.
    if (Object.keys(environment).length > 0) return 'rootScope "operational" takes no environment';
    return { argv };
  }
  const env = { ...UNATTENDED, ...environment };
  // A command that begins with "-" would be taken for an option of the shell.
  const safe = command.startsWith("-") ? ` ${command}` : command;
  return await findProblem({ shell, cwd, env }, launch) ?? { argv: [shell, "-lc", safe], cwd, env };
}

/** Looks with the rights and the search path of the command; the exit code names the problem. */
const LOOK = `
case $1 in
  /*) [ -f "$1" ] || exit 101; [ -x "$1" ] || exit 102 ;;
  */*) ;;
  *) command -v -- "$1" >/dev/null || exit 101 ;;
esac
[ -d "$2" ] || exit 103
[ -x "$2" ] || exit 104`;

/** The shell's own words for these would be lost among the command's output. */
async function findProblem(
  { shell, cwd, env }: { shell: string; cwd: string | undefined; env: Record<string, string> },
  launch: Launch,
): Promise<string | undefined> {
  if (shell === DEFAULT_SHELL && cwd === undefined) return undefined;
  const folder = cwd === undefined ? "/" : resolve(cwd);
  const start = launch({ argv: ["/bin/sh", "-c", LOOK, "sh", shell, folder], env });
  const [program = "", ...args] = start.argv;
  const look = new Deno.Command(program, {
    args,
    ...(start.env ? { env: start.env } : {}),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  const problems = new Map([
    [101, `payload.shell: there is no program ${shell} on this machine`],
    [102, `payload.shell: ${shell} is not executable`],
    [103, `payload.working_dir: there is no folder ${cwd}`],
    [104, `payload.working_dir: the user of this task may not enter ${cwd}`],
  ]);
  return problems.get((await look.output()).code);
}
