/** Exit code of a command that could not do what it was asked to. */
export const EXIT_FAILED = 1;
/** Exit code of a command that was used in a way it does not know. */
export const EXIT_USAGE = 2;

/**
 * A failure that the person at the keyboard can fix.
 *
 * Its message is a whole sentence that says what is wrong and what to do; the
 * command line prints it without a stack trace and exits with `exitCode`.
 */
export class UserError extends Error {
  static {
    this.prototype.name = "UserError";
  }
  /** The exit code of the process, see {@linkcode EXIT_FAILED}. */
  readonly exitCode: number;

  /** Makes one from its sentence; `cause` keeps what it was learnt from. */
  constructor(message: string, options: { cause?: unknown; exitCode?: number } = {}) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode ?? EXIT_FAILED;
  }
}

/** The message of whatever was thrown, for a sentence about it. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
