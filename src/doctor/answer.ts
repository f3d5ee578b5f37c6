import { type HttpTransport, whyNotReached } from "../control_plane/http.ts";
import { readStart } from "../control_plane/read_start.ts";

/** How long the answer may take, in milliseconds. */
export const ANSWER_LIMIT_MS = 6_000;

/** What answered a call that needs no credentials. */
export interface Answer {
  /** Its HTTP status. */
  status: number;
  /** Its media type; "" where it tells none. */
  type: string;
  /** Where it redirects to. */
  location: string | undefined;
  /** Its clock, whole seconds. */
  date: Date | undefined;
  /** The beginning of its body, if that is JSON. */
  text: string;
  /** When it was asked, by this machine's clock, in milliseconds. */
  askedAtMs: number;
  /** How long it took to answer, in milliseconds. */
  tookMs: number;
}

/** No answer came; the message is the reason. */
export class NoAnswerError extends Error {
  static {
    this.prototype.name = "NoAnswerError";
  }
}

/**
 * Asks for an enrollment that nobody has: the API answers 404, in its own way (contract: Base path).
 *
 * @throws {NoAnswerError} when nothing answers within 6 s, or nothing that is trusted.
 */
export async function askApi({ apiUrl, client }: HttpTransport): Promise<Answer> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), ANSWER_LIMIT_MS);
  const askedAtMs = Date.now();
  const startMs = performance.now();
  try {
    const response = await fetch(`${apiUrl}/api/v1/enrollments/doctor-${crypto.randomUUID()}`, {
      client,
      redirect: "manual",
      signal: limit.signal,
    });
    const tookMs = performance.now() - startMs;
    const { status, headers } = response;
    const date = new Date(headers.get("date") ?? NaN);
    const type = headers.get("content-type")?.split(";")[0] ?? "";
    const isJson = type === "application/json";
    if (!isJson) await response.body?.cancel();
    return {
      status,
      type,
      location: headers.get("location") ?? undefined,
      date: isNaN(date.getTime()) ? undefined : date,
      text: isJson ? await readStart(response) : "",
      askedAtMs,
      tookMs,
    };
  } catch (cause) {
    const reason = limit.signal.aborted
      ? `no answer within ${ANSWER_LIMIT_MS / 1_000} s`
      : whyNotReached(cause);
    throw new NoAnswerError(reason, { cause });
  } finally {
    clearTimeout(timer);
  }
}
