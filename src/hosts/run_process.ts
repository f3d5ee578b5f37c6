import type { LogStream } from "../control_plane/schemas.ts";
import type { SecretMask } from "../logs/secret_mask.ts";
import { endTaskProcesses } from "./end_processes.ts";
import { type ChildOptions, type GatedChild, spawnGated } from "./gated_child.ts";
import type { ProcessGroup } from "./process_table.ts";
import { ProgramOutput } from "../logs/program_output.ts";
import { settlesWithin } from "../system/deadline.ts";
import { killGroup } from "./signal_process.ts";

const KILLED: Deno.CommandStatus = { success: false, code: 128 + 9, signal: "SIGKILL" };

/** A process to run to its end. */
export interface RunOptions extends ChildOptions {
  /** Called with the group before the program begins; it waits for the promise. */
  onSpawn: (group: ProcessGroup) => Promise<void>;
  /** Masks the output. */
  mask: SecretMask;
  /** Takes whole lines; reading goes on when the promise is kept. */
  onLines: (stream: LogStream, lines: string) => Promise<void>;
  /** Whether people read the lines, and not a parser: see {@linkcode ProgramOutput}. */
  forPeople?: boolean;
  /** Ends the process and all that belongs to it. */
  signal: AbortSignal;
  /** Hears of the end of the program, whose output may still be read then. */
  onExit?: (() => void) | undefined;
  /** For a program that must not be cut short: once `ask` has asked it to leave, it has `graceMs`. */
  askFirst?: { ask: (program: ProcessGroup) => Promise<void>; graceMs: number };
}

/** How a process ended. */
export interface ProcessResult {
  /** The exit code; 128 + n after signal n. */
  exitCode: number;
  /** The signal that ended it, if one did. */
  signal: string | undefined;
  /** Processes that were to be ended and could not be. */
  unkillable: number;
}

/**
 * Runs a process and reads its output to the end.
 *
 * When `signal` aborts, the whole tree is ended and none of it is left: at once, or when the program
 * has left by itself because it was asked to, see `askFirst`. Otherwise background
 * processes live on; if they hold the output open, it is waited for 2 s after the end.
 *
 * @throws what the spawn throws when the process cannot be started.
 */
export async function runProcess(options: RunOptions): Promise<ProcessResult> {
  const { signal, taskId } = options;
  const child = await spawnGated(options);
  const outputs = (["stdout", "stderr"] as const).map((name) =>
    new ProgramOutput(
      child[name],
      options.mask,
      (lines) => options.onLines(name, lines),
      options.forPeople,
    )
  );
  const drained = Promise.all(outputs.map((output) => output.read()));

  drained.catch(() => {
    // Awaited below, when the child has ended; until then nobody is listening.
  });

  let ending: Promise<number> | undefined;
  const stuck = Promise.withResolvers<Deno.CommandStatus>();
  const end = () => {
    ending ??= askToLeave(child, options.askFirst).then(() => endAll(taskId, child.group));
    // What SIGKILL cannot end (a sleep that a dead disk holds) must not hold the task as well.
    void ending.then((left) => left > 0 && stuck.resolve(KILLED));
  };
  signal.addEventListener("abort", end, { once: true });
  try {
    await options.onSpawn(child.group);
    if (signal.aborted) {
      await child.refuse();
      end();
    } else await child.open();
    const status = await Promise.race([child.status, stuck.promise]);
    options.onExit?.();
    outputs.forEach((output) => output.drain());
    await drained;
    return {
      exitCode: status.code,
      signal: status.signal ?? undefined,
      unkillable: await ending ?? 0,
    };
  } finally {
    signal.removeEventListener("abort", end);
  }
}

/** Resolves when the program has left, or its time to do so is over. */
async function askToLeave(child: GatedChild, askFirst: RunOptions["askFirst"]): Promise<void> {
  if (!askFirst) return;
  await askFirst.ask(child.group);
  await settlesWithin(child.status, askFirst.graceMs);
}

async function endAll(taskId: string, group: ProcessGroup): Promise<number> {
  try {
    return await endTaskProcesses(taskId, group);
  } catch {
    // Not even a look at the processes could be started: a machine full of them, perhaps ours.
    killGroup(group);
    return await endTaskProcesses(taskId, group, 0).catch(() => 0);
  }
}
