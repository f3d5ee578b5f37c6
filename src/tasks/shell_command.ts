import { resolve } from "@std/path";
import * as z from "@zod/zod";
import type { Command } from "../privileges/launch.ts";
import {
  hasScopeAsRoot,
  NO_SCOPE,
  NOT_OPERATIONAL,
  operationalArgv,
  RootScope,
} from "../privileges/root_scopes.ts";
import { marked } from "./command_output.ts";
import { packed, packedNames, unpacking } from "./unnameable.ts";

/** Runs a command that names no shell. */
export const DEFAULT_SHELL = "/bin/sh";
/** Pagers wait for keys that nobody presses, and programs fold lines to a width that nobody has. */
const UNATTENDED = { PAGER: "cat", COLUMNS: "100000" };

/** The most bytes of one argument, or of one variable with its name, that Linux takes; a NUL is added. */
const MAX_ARGUMENT_BYTES = 128 * 1024 - 1;
/** So many characters have fewer bytes than that. */
const PARTS = /[^]{1,30000}/gu;
/** Linux takes 2 MiB of arguments and environment together, where nobody has changed that. */
const MAX_COMMAND_BYTES = 1024 * 1024;
/** See {@linkcode MAX_COMMAND_BYTES}. */
const MAX_ENVIRONMENT_BYTES = 768 * 1024;
/** The shells that put a command together again. */
const POSIX_SHELL = /(^|\/)(sh|bash|dash|ash|ksh|mksh|zsh|busybox)$/;

/** Takes a command in parts, puts it together, and runs it in the shell that it was given to. */
const TOGETHER = `
AGENT_COMMAND=
for AGENT_PART do AGENT_COMMAND=$AGENT_COMMAND$AGENT_PART; done
set --
eval "unset AGENT_COMMAND AGENT_PART
$AGENT_COMMAND"`;

const noNul = (text: string) => !text.includes("\0");
const text = z.string().refine(noNul, "must not contain NUL");
const optionalText = text.nullish().transform((value) => value || undefined);

/** The payload of `shell.exec`. */
export const ShellExec = z.looseObject({
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
/** The payload of `shell.exec`. */
export type ShellExec = z.infer<typeof ShellExec>;

/** What to run, or the sentence that says why it cannot be. `mark` is the line that it begins with. */
export function commandOf(request: ShellExec, mark: string): Command | string {
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

/** Whether the command tells that it begins: one of a shell that is known. */
export function saysItsStart({ shell = DEFAULT_SHELL, runAsRoot, rootScope }: ShellExec): boolean {
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

/** What a command that could not begin in its place has met, in the words of the payload. */
export function placeProblem(
  exitCode: number,
  stderr: string,
  request: ShellExec,
): string | undefined {
  const problem = PLACE_PROBLEM.exec(stderr)?.[1];
  if (exitCode !== NOT_BEGUN || problem === undefined || !isElsewhere(request)) return undefined;
  const { shell, working_dir: folder } = request;
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

/** Whether commands of the POSIX shell can be put before another one of `shell`'s. */
function isPosixShell(shell: string): boolean {
  return POSIX_SHELL.test(shell);
}

/** How many bytes a text has. */
function byteLength(text: string): number {
  // In most cases there is nothing to be counted.
  return text.length * 3 <= MAX_ARGUMENT_BYTES
    ? text.length
    : new TextEncoder().encode(text).length;
}

/**
 * The arguments with which a login shell runs a command, however long; a sentence where the shell, or
 * Linux, cannot take one of that length.
 */
function loginShell(shell: string, command: string): string[] | string {
  // A command that begins with "-" would be taken for an option of the shell.
  const safe = command.startsWith("-") ? ` ${command}` : command;
  const bytes = byteLength(safe);
  if (bytes <= MAX_ARGUMENT_BYTES) return [shell, "-lc", safe];
  if (!isPosixShell(shell)) {
    return `payload.command: ${shell} takes no more than 128 KiB, and this has ${bytes} bytes; ` +
      "/bin/sh takes more";
  }
  if (bytes > MAX_COMMAND_BYTES) {
    return `payload.command: longer than 1 MiB (${bytes} bytes); write a file and run that`;
  }
  return [shell, "-lc", TOGETHER, shell, ...safe.match(PARTS) ?? []];
}
