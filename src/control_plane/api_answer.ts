import type { LoadedConfig } from "../config/mod.ts";
import { jsonOf, oneLine } from "../system/text.ts";
import { NAME } from "../system/paths.ts";
import { TimeLimit } from "../system/stall.ts";
import { messageOf, UserError } from "../system/user_error.ts";
import { connect } from "./connect.ts";
import { type HttpTransport, whyNotReached } from "./http.ts";
import { readStart } from "./answer_text.ts";
import { OwnErrorBody } from "./schemas.ts";

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
export class UnansweredError extends Error {
  static {
    this.prototype.name = "UnansweredError";
  }
}

/**
 * Asks for an enrollment that nobody has: the API answers 404, in its own way (contract: Base path).
 *
 * @throws {UnansweredError} when nothing answers within 6 s, or nothing that is trusted.
 */
export async function askApi({ apiUrl, client }: HttpTransport): Promise<Answer> {
  using limit = new TimeLimit(ANSWER_LIMIT_MS);
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
    throw new UnansweredError(reason, { cause });
  }
}

/** What is wrong at the control plane's address, and what to do about it. */
export interface AddressProblem {
  /** What was found, without a full stop. */
  found: string;
  /** What to do. */
  fix: string;
  /** Whether it may be over by itself later: nothing says that the address is wrong. */
  mayPass?: boolean;
}

/** Judges what answered; undefined where it is the control plane. */
export function problemOfAnswer(
  { status, type, location, text }: Answer,
): AddressProblem | undefined {
  if (location !== undefined && status >= 300 && status < 400) {
    return {
      found: `redirected to ${oneLine(location)}`,
      fix: `set api_url to where it really is: ${NAME} config set api_url <url>`,
    };
  }
  const isOwn = OwnErrorBody.safeParse(jsonOf(text)).success;
  if (isOwn && status < 500) return undefined;
  if (status >= 500) {
    const by = isOwn ? "the control plane" : "what stands before the control plane";
    return {
      found: `HTTP status ${status} from ${by}`,
      fix: "look into its log, or try again later",
      mayPass: true,
    };
  }
  return {
    found: `something else answers there: HTTP status ${status}${type ? `, ${oneLine(type)}` : ""}`,
    fix: `correct host, port and path: ${NAME} config set api_url <url>`,
  };
}

/**
 * Asks the control plane at the configured address, before anything is changed for it. `warn` hears
 * of what may pass, which is thrown without it.
 *
 * @throws {UserError} that says what is wrong there and what to do.
 */
export async function requireControlPlane(
  loaded: LoadedConfig,
  warn?: (sentence: string) => void,
): Promise<void> {
  using transport = await connect(loaded);
  const problem = await askApi(transport).then(problemOfAnswer, noAnswer);
  if (!problem) return;
  const sentence = `api_url is ${transport.apiUrl}, but ${problem.found}: ${problem.fix}.`;
  if (!problem.mayPass || !warn) throw new UserError(sentence);
  warn(sentence);
}

function noAnswer(error: unknown): AddressProblem {
  const why = messageOf(error);
  const [, spoken] = /speaks (https?), not/.exec(why) ?? [];
  const fix = spoken ? `begin it with ${spoken}://` : "check the address and the network";
  const mayPass = spoken === undefined;
  return { found: `nothing that can be used answers: ${why}`, fix, mayPass };
}
