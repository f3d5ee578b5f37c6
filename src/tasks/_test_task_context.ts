import { childHost } from "../hosts/child_host.ts";
import { SecretMask } from "../logs/secret_mask.ts";
import { asAgent } from "../privileges/launch.ts";
import { CommandOutput, startLine } from "./command_output.ts";
import type { TaskContext } from "./task_type.ts";

/** What a running task may use, without a runner: programs are children, and nothing is logged. */
export function contextOf(own: Partial<TaskContext> = {}): TaskContext {
  const context: TaskContext = {
    taskId: crypto.randomUUID(),
    privileges: {
      unprivileged: asAgent,
      root: asAgent,
      sudo: false,
      allows: () => Promise.resolve(undefined),
    },
    signal: new AbortController().signal,
    begun: Promise.resolve(),
    mask: new SecretMask([]),
    start: async (command) => {
      const program = await childHost.start({ ...command, taskId: context.taskId });
      await program.open();
      return program;
    },
    keep: async (output) => {
      const seen = new CommandOutput(startLine(context.taskId));
      for await (const chunk of output) seen.see(chunk);
      return seen;
    },
    // Where nobody, not even root, can make a file.
    note: (name) => `/dev/null/${name}`,
    onLines: () => Promise.resolve(),
    ...own,
  };
  return context;
}
