import * as z from "@zod/zod";
import { messageOf } from "../system/user_error.ts";

/** The ways in which a realtime session does not come about. */
export type FailureName =
  | "invalid URL input"
  | "tls/proxy handshake failure"
  | "namespace connect failure"
  | "auth error"
  | "auth message refused"
  | "transport dial failure";

const CHECK: Record<FailureName, string> = {
  "invalid URL input": "check api_url and realtime_path",
  "tls/proxy handshake failure":
    "check that the port speaks https if api_url does, api_tls_ca_file, HTTPS_PROXY and NO_PROXY",
  "namespace connect failure":
    "check realtime_namespace, and whether the control plane serves realtime to agents",
  "auth error": "was the node deleted or its token replaced? enroll it again, or wait",
  "auth message refused":
    "is the control plane older than this agent? its log says what it does not know",
  "transport dial failure":
    "check that the control plane runs, api_url and realtime_path, and that a proxy in between " +
    "lets WebSocket through",
};

/** A realtime session did not come about; the message is the cause. */
export class RealtimeFailure extends Error {
  static {
    this.prototype.name = "RealtimeFailure";
  }
  /** Which way it failed. */
  readonly failure: FailureName;
  /** Whether it is the server's own answer to the authentication, and not that there was none. */
  readonly isAnswer: boolean;

  /** Makes one from its name and cause. */
  constructor(
    failure: FailureName,
    cause: string,
    { isAnswer = false, ...options }: ErrorOptions & { isAnswer?: boolean } = {},
  ) {
    super(cause, options);
    this.failure = failure;
    this.isAnswer = isAnswer;
  }

  /** What a person should look at. */
  get check(): string {
    return CHECK[this.failure];
  }
}

/** What the Socket.IO client makes of a WebSocket's error event. */
const EngineError = z.object({ description: z.object({ message: z.string().min(1) }) });
const HANDSHAKE =
  /certificate|tunnel|proxy|InvalidContentType|corrupt message|HTTP version|speaks https?, not|handshake|alert|\btls\b/i;

/** Names the reason for which the transport could not be opened. */
export function dialFailure(cause: unknown): RealtimeFailure {
  const engine = EngineError.safeParse(cause);
  const message = (engine.success ? engine.data.description.message : messageOf(cause))
    .replace(/^NetworkError: /, "").replace(/^failed to connect to WebSocket: /, "");
  const invalid = cause instanceof Error && ["SyntaxError", "TypeError"].includes(cause.name);
  const failure = invalid
    ? "invalid URL input"
    : HANDSHAKE.test(message)
    ? "tls/proxy handshake failure"
    : "transport dial failure";
  return new RealtimeFailure(failure, message, { cause });
}
