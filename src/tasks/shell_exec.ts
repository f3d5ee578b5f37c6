import { isAbsolute } from "@std/path";
import { z } from "@zod/zod";
import { runProcess } from "../process/run_process.ts";
import { messageOf } from "../system/user_error.ts";
import type { TaskOutcome, TaskType } from "./task_type.ts";

const noNul = (text: string) => !text.includes("\0");
const text = z.string().refine(noNul, "must not contain NUL");
const optionalText = text.nullish().transform((value) => value || undefined);

const ShellExec = z.looseObject({
  command: text.min(1, "must not be empty"),
  shell: optionalText,
  working_dir: optionalText,
  environment: z.record(
    z.string().regex(/^[^=\0]+$/, "is no name of an environment variable"),
    z.union([text, z.number(), z.boolean()]).transform(String),
  ).nullish().transform((value) => value ?? {}),
});

const DEFAULT_SHELL = "/bin/sh";
/** Pagers wait for keys that nobody presses, and programs fold lines to a width that nobody has. */
const UNATTENDED = { PAGER: "cat", COLUMNS: "100000" };

/** `shell.exec`: runs a command in a login shell (contract: Types). */
export const shellExec: TaskType = {
  prepare(payload) {
    const { command, shell = DEFAULT_SHELL, working_dir: cwd, environment } = ShellExec.parse(
      payload,
    );
    return async (context): Promise<TaskOutcome> => {
      const problem = await findProblem(shell, cwd);
      if (problem) return { status: "failed", error: problem };
      try {
        const argv = [shell, "-lc", command];
        const env = { ...UNATTENDED, ...environment };
        const { exitCode, signal, unkillable } = await runProcess({ ...context, argv, cwd, env });
        if (unkillable > 0) {
          await context.onLines("system", `[${unkillable} processes could not be ended]\n`);
        }
        if (exitCode === 0) return { status: "success", exitCode };
        const error = signal
          ? `the command was ended by ${signal}`
          : `the command exited with code ${exitCode}`;
        return { status: "failed", exitCode, error };
      } catch (error) {
        return { status: "failed", error: `the command cannot be started: ${messageOf(error)}` };
      }
    };
  },
};

/** The shell's own words for these would be lost among the command's output. */
async function findProblem(shell: string, cwd: string | undefined): Promise<string | undefined> {
  if (isAbsolute(shell)) {
    const file = await Deno.stat(shell).catch(() => undefined);
    if (!file?.isFile) return `payload.shell: there is no program ${shell} on this machine`;
    if (!((file.mode ?? 0) & 0o111)) return `payload.shell: ${shell} is not executable`;
  }
  if (cwd === undefined) return undefined;
  const folder = await Deno.stat(cwd).catch(() => undefined);
  return folder?.isDirectory ? undefined : `payload.working_dir: there is no folder ${cwd}`;
}
