/** The control plane answered, but not with success. */
export class RefusedError extends Error {
  static {
    this.prototype.name = "RefusedError";
  }
  /** The HTTP status of the answer. */
  readonly status: number;
  /** Whether the control plane itself refused; else perhaps a proxy before it. */
  readonly isOwn: boolean;

  /** For how long it asks to be left alone, in milliseconds. */
  readonly retryAfterMs: number;

  /** Makes one from the status and the answer's `message`. */
  constructor(status: number, message: string, isOwn = false, retryAfterMs = 0) {
    super(message);
    this.status = status;
    this.isOwn = isOwn;
    this.retryAfterMs = retryAfterMs;
  }
}

/** No usable answer came: no connection, a reset, a time limit, or a body that is not the contract's. */
export class UnreachableError extends Error {
  static {
    this.prototype.name = "UnreachableError";
  }
}

/** No answer came within the limit of the call. */
export class TimedOutError extends UnreachableError {
  static {
    this.prototype.name = "TimedOutError";
  }
}

/** An answer came, but it is not the contract's. */
export class UnusableAnswerError extends UnreachableError {
  static {
    this.prototype.name = "UnusableAnswerError";
  }
}

/**
 * Whether the same call may still succeed later: no answer, a server fault, or too many requests.
 * Every other refusal is final.
 */
export function isTransient(error: unknown): boolean {
  if (error instanceof RefusedError) return error.status >= 500 || error.status === 429;
  return error instanceof UnreachableError;
}

/** For how long a failed call must not be made again, in milliseconds; 0 where that was not said. */
export function leaveAloneMs(error: unknown): number {
  return error instanceof RefusedError ? error.retryAfterMs : 0;
}

/** Whether the answer says that the credentials are not (or no longer) accepted. */
export function isUnauthorized(error: unknown): boolean {
  return error instanceof RefusedError && (error.status === 401 || error.status === 403);
}

/** Why the control plane call failed. */
export type CallFailureKind = "refused" | "nonsense" | "unreachable";

/** Tells a refusal of the credentials and answers of something else from all other failures. */
export function callFailureKind(error: unknown): CallFailureKind {
  if (error instanceof UnusableAnswerError) return "nonsense";
  if (!(error instanceof RefusedError)) return "unreachable";
  if (error.isOwn) return isUnauthorized(error) ? "refused" : "unreachable";
  return error.status < 500 && error.status !== 429 ? "nonsense" : "unreachable";
}
