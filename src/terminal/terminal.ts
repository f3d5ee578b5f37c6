import type { Logger } from "../system/logger.ts";
import type { KeptSession } from "./kept_session.ts";
import type { Launch } from "../privileges/launch.ts";
import { sudoRefusal, wordsOfSudo } from "../privileges/sudo_refusal.ts";
import { messageOf } from "../system/user_error.ts";
import { PTY_MODES, type PtyMode } from "./modes.ts";
import { Pty, type Size, type TerminalPty } from "./pty.ts";
import { type Shell, startShell } from "./shell.ts";

/** A shell and the pseudo terminal it runs on. */
export interface Terminal {
  /** The terminal. */
  pty: TerminalPty;
  /** The shell. */
  shell: Shell;
  /** Whether it goes on without this agent. */
  outlives: boolean;
}

/** How to open a terminal that lasts. */
export interface OpenLastingOptions {
  /** The size to begin with. */
  size: Size;
  /** Called when there is more output in what is kept. */
  onGrown?: (() => void) | undefined;
  /** Makes the shell another user's than the agent's. */
  launch?: Launch | undefined;
  /** Gives up and ends what was started. */
  signal: AbortSignal;
}

/** Where a terminal can outlive the agent. */
export interface TerminalPlace {
  /** Opens the terminal of a session, or takes up the one that an earlier agent has opened. */
  open(kept: KeptSession, options: OpenLastingOptions): Promise<Terminal>;
}

/** What to open. */
export interface OpenTerminalOptions {
  /** Marks the processes. */
  sessionId: string;
  /** The size to begin with. */
  size: Size;
  /** Takes the output, from before the promise is kept. */
  onData: (bytes: Uint8Array<ArrayBuffer>) => void;
  /** Where it is to outlive the agent, and what is kept of it. */
  lasting?: { place: TerminalPlace; kept: KeptSession } | undefined;
  /** Whether it is refused where it has no unit: the sandbox of the service would bind its shell. */
  unitsOnly?: boolean | undefined;
  /** Called when there is more output in what is kept. */
  onGrown?: (() => void) | undefined;
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
  const lasting = await openLasting(options);
  if (lasting) return lasting;
  const problems: string[] = [];
  for (const mode of modes) {
    const pty = await Pty.open(size, onData);
    try {
      const shell = await startShell({ path: pty.path, sessionId, mode, launch, signal });
      const fields = { mode: mode.name, shell: shell.path };
      if (problems.length === 0) logger.info("terminal opened", fields);
      else logger.warn("terminal opened with less", { ...fields, missing: mode.missing, problems });
      return { pty, shell, outlives: false };
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

/**
 * One that outlives the agent; undefined where there is none, or it does not work.
 *
 * @throws where there can be no other.
 */
async function openLasting(options: OpenTerminalOptions): Promise<Terminal | undefined> {
  const { lasting, unitsOnly, logger, signal } = options;
  const isLeft = Boolean(lasting?.kept.progress.shell);
  let problem: string | undefined;
  try {
    const terminal = await lasting?.place.open(lasting.kept, options);
    if (terminal) {
      const fields = { mode: "unit", shell: terminal.shell.path };
      logger.info(isLeft ? "terminal is taken up" : "terminal opened", fields);
      return terminal;
    }
  } catch (error) {
    signal.throwIfAborted();
    problem = messageOf(error);
    // Another shell is not what its operator has left in it.
    if (isLeft) throw new Error(`it cannot be taken up again: ${problem}`);
  }
  if (unitsOnly) {
    throw new Error(
      `it can have no unit of its own (${
        problem ?? "the agent's log says why"
      }), and without one ` +
        "the sandbox of the agent's service would bind it",
    );
  }
  if (problem) logger.warn("terminal has no unit, and ends with the agent", { problem });
  return undefined;
}
