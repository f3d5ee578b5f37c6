import { STATUS_CODES } from "node:http";

/** A refusal: an HTTP status with the message a person is shown (contract, introduction). */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly statusCode: number;
  /** One sentence a broken rule, as `errors` in the answer. */
  readonly errors: string[] | undefined;
  /** Whether the agent could have known better, so that it is a violation. */
  readonly isFault: boolean;

  /** Makes one from its status (400..599), its message and, for a refused body, each broken rule. */
  constructor(statusCode: number, message: string, errors?: string[], isFault = true) {
    super(message);
    this.statusCode = statusCode;
    this.errors = errors;
    this.isFault = isFault;
  }
}

/** What a database that cannot store a value makes of a request. */
export function internalError(): HttpError {
  return new HttpError(500, "Internal server error");
}

/** The error JSON of the contract's introduction; `path` is the whole request path. */
export function errorBody(error: HttpError, path: string): Record<string, unknown> {
  return {
    statusCode: error.statusCode,
    path,
    timestamp: new Date().toISOString(),
    message: error.message,
    ...(STATUS_CODES[error.statusCode] ? { error: STATUS_CODES[error.statusCode] } : {}),
    ...(error.errors ? { errors: error.errors } : {}),
  };
}
