import type { OutputStore } from "../logs/task_log.ts";
import type { ProcessGroup } from "./process_table.ts";

/** What to run. */
export interface ChildOptions {
  /** Marks the processes, by a variable of their environment. */
  taskId: string;
  /** The program and its arguments. */
  argv: string[];
  /** Additional environment. */
  env?: Record<string, string> | undefined;
}

/** A user's command as it is, for a host that changes users by itself. */
export interface InUnit extends Pick<ChildOptions, "argv" | "env"> {
  /** The user. */
  user: { name: string; uid: number };
}

/** A program to run. */
export interface HostCommand extends ChildOptions {
  /** What it is, for everybody to see. */
  description?: string;
  /** Ends the program and all that belongs to it. */
  signal: AbortSignal;
  /** For a program that must not be cut short: once `ask` has asked it to leave, it has `graceMs`. */
  askFirst?: { ask: (program: ProcessGroup) => Promise<void>; graceMs: number } | undefined;
  /** The same without what makes a child another user's: it may run in a unit. */
  inUnit?: InUnit | undefined;
  /** It only looks at something: no later agent wants to know how it ended. */
  isLook?: boolean;
  /** Where its output may be put byte by byte. */
  store?: OutputStore | undefined;
}

/** Bytes that a program has printed; they are the reader's until it pulls the next ones. */
export interface OutputChunk {
  /** Where they came from. */
  stream: "stdout" | "stderr";
  /** The bytes. */
  bytes: Uint8Array;
  /** Whether they are in the command's store already. */
  isKept?: boolean;
}

/** What a program has used; what the machine does not count is left out. */
export interface Usage {
  /** Time of processors, in milliseconds. */
  cpuMs?: number;
  /** The most memory at a time that was seen, in bytes. */
  memoryBytes?: number;
  /** The most processes and threads at a time that were seen. */
  pids?: number;
}

/** How a program ended. */
export interface ProgramEnd {
  /** The exit code; 128 + n after signal n. */
  exitCode: number;
  /** The signal that ended it, if one did. */
  signal: string | undefined;
  /** Processes that were to be ended and could not be. */
  unkillable: number;
}

/** A program that a host was given; it does not run before {@linkcode Program.open}. */
export interface Program {
  /** What finds it again after a restart of the agent: to be written down before it runs. */
  readonly group: ProcessGroup;
  /** Lets it run, unless its signal has aborted by now. */
  open(): Promise<void>;
  /**
   * What it prints, as it comes, to be pulled once. It ends with the program and those that hold its
   * output; background processes are waited for, but for 2 s in all.
   */
  readonly output: AsyncIterable<OutputChunk>;
  /** Resolves when the program has ended; others may still be printing. */
  readonly exited: Promise<unknown>;
  /** How it ended: resolves when its output has been read, and all that was to be ended has. */
  readonly ended: Promise<ProgramEnd>;
  /**
   * Lets it run on without this agent, which hears nothing more of it; undefined for one that cannot.
   */
  leave?(): void;
  /** What it has used so far; undefined where nobody counts. */
  usage?(): Promise<Usage>;
  /** Resolves with the reason when a bound of the host has ended it, or is to end it. */
  readonly bounded?: Promise<string>;
  /** Whether it had ended before it was found: by then more time has passed than it took. */
  readonly hadEnded?: boolean;
}

/** What became of a program that an earlier agent has started. */
export type Found = Program | "not begun" | "gone";

/** Where the programs of tasks run. */
export interface Host {
  /**
   * Starts a program of a task.
   *
   * @throws when it cannot be started.
   */
  start(command: HostCommand): Promise<Program>;
  /** Takes up a program that an earlier agent has left running. */
  takeUp(
    command: Pick<HostCommand, "taskId" | "signal" | "store" | "askFirst">,
    group: ProcessGroup,
  ): Promise<Found>;
  /**
   * The end of a task is written down: what is kept of its program goes; without a group all that is
   * kept of the task, let run or not. What fails is tried again.
   */
  release(taskId: string, group: ProcessGroup | undefined): Promise<void>;
  /** Removes what is left of tasks that are not at work any more; whoever lives on is left alone. */
  sweep(isAtWork: (taskId: string) => boolean): Promise<void>;
  /** Waits until what an earlier agent has left of a task has gone, for so many milliseconds at most. */
  waitFor(taskId: string, group: ProcessGroup | undefined, limitMs: number): Promise<void>;
  /**
   * Ends what there is of a task; resolves with the number of processes that could not be ended.
   * Without a group nobody knows what it was: it may have to be left some time.
   */
  end(taskId: string, group: ProcessGroup | undefined): Promise<number>;
  /** Kills what there is of a task at once: the last act of an agent that must leave. */
  killNow(taskId: string, group: ProcessGroup): void;
}
