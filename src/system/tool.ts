import { type ChildEnd, runChild, type RunChildOptions } from "./run_child.ts";

/** What a tool of the machine has answered: 127 when the machine does not have it. */
export type ToolResult = ChildEnd;

/** Runs a tool of the machine to its end, without a shell and with nothing to read. */
export type RunTool = (program: string, ...args: string[]) => Promise<ToolResult>;

/** systemd may take its minutes, as for a service that finishes what it is at before it stops. */
const TOOL_LIMIT_MS = 600_000;

/** {@linkcode RunTool} on this machine, with plain English output and times in UTC. */
export const runTool: RunTool = toolRunner({ limitMs: TOOL_LIMIT_MS });

/** {@linkcode runTool} with limits of its own. */
export function toolRunner(limits: Omit<RunChildOptions, "env">): RunTool {
  return async (program, ...args) => {
    try {
      const env = { LC_ALL: "C.UTF-8", TZ: "UTC" };
      const { code, stdout, stderr } = await runChild([program, ...args], { ...limits, env });
      return { code, stdout: stdout.trimEnd(), stderr: stderr.trimEnd() };
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return { code: 127, stdout: "", stderr: `${program}: not found` };
    }
  };
}
