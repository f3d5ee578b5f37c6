/** The refusal of a realtime event: `{ok: false, message}` and `agent.error`. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  /** Whether the agent could have known better, so that it is a violation. */
  readonly isFault: boolean;
  /** The code in `agent.error`, if it has one. */
  readonly code: string | undefined;

  /** Makes one from the sentence that the agent is told. */
  constructor(message: string, isFault = true, code?: string) {
    super(message);
    this.isFault = isFault;
    this.code = code;
  }
}

/** Refused credentials: `agent.auth.error` and the end of the socket, without an acknowledgement. */
export class AuthError extends Error {
  override readonly name = "AuthError";
}
