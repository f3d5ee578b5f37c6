import type { Logger } from "../system/logger.ts";
import type { Launch } from "../privileges/launch.ts";
import { sudoRefusal, wordsOfSudo } from "../privileges/sudo_refusal.ts";
import { messageOf } from "../system/user_error.ts";
import { PTY_MODES, type PtyMode } from "./modes.ts";
import { Pty, type Size } from "./pty.ts";
import { type Shell, startShell } from "./shell.ts";

/** A shell and the pseudo terminal it runs on. */
export interface Terminal {
  /** The terminal. */
  pty: Pty;
  /** The shell. */
  shell: Shell;
}

/** What to open. */
export interface OpenTerminalOptions {
  /** Marks the processes. */
  sessionId: string;
  /** The size to begin with. */
  size: Size;
  /** Takes the output, from before the promise is kept. */
  onData: (bytes: Uint8Array<ArrayBuffer>) => void;
  /** Makes the shell another user's than the agent's. */
  launch?: Launch | undefined;
  /** The ways to try, in order. */
  modes?: readonly PtyMode[] | undefined;
  /** Told which way was taken, and what a user will miss. */
  logger: Logger;
  /** Gives up and ends what was started. */
  signal: AbortSignal;
}

/**
 * Opens a terminal in the first mode that works.
 *
 * @throws when none does, with the reasons; or when the signal aborts.
 */
export async function openTerminal(options: OpenTerminalOptions): Promise<Terminal> {
  const { sessionId, size, onData, launch, modes = PTY_MODES, logger, signal } = options;
  const problems: string[] = [];
  for (const mode of modes) {
    const pty = await Pty.open(size, onData);
    try {
      const shell = await startShell({ path: pty.path, sessionId, mode, launch, signal });
      const fields = { mode: mode.name, shell: shell.path };
      if (problems.length === 0) logger.info("terminal opened", fields);
      else logger.warn("terminal opened with less", { ...fields, missing: mode.missing, problems });
      return { pty, shell };
    } catch (error) {
      pty[Symbol.dispose]();
      signal.throwIfAborted();
      const words = wordsOfSudo(messageOf(error));
      if (words) throw new Error(sudoRefusal(words));
      problems.push(`${mode.name}: ${messageOf(error)}`);
    }
  }
  throw new Error(problems.join("; "));
}
