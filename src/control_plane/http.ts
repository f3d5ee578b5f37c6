import type * as z from "@zod/zod";
import { jsonOf, oneLine } from "../system/text.ts";
import { judgeAfter } from "../system/stall.ts";
import { messageOf } from "../system/user_error.ts";
import { RefusedError, TimedOutError, UnreachableError, UnusableAnswerError } from "./errors.ts";
import { jsonExcess } from "./answer_text.ts";
import { createClient, type Network } from "./network.ts";
import { Reachability } from "./reachability.ts";
import { retryAfterMs } from "./retry_after.ts";
import { ErrorBody, OwnErrorBody } from "./schemas.ts";

/** No answer of the contract comes near this; a hostile one must not fill the memory. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Of a refusal's body no more is read. */
const MAX_ERROR_BYTES = 64 * 1024;
/** What of a refusal's words goes into our log. */
const MAX_MESSAGE_UNITS = 1_000;

/** One call of the control plane. */
export interface HttpCall<T> {
  /** The HTTP method. */
  method: "GET" | "POST";
  /** The path below `/api/v1`. */
  path: string;
  /** What the answer must be. */
  answer: z.ZodType<T>;
  /** Says whether an answer is one to this call: it may name another node or task. */
  isMine?: ((answer: T) => boolean) | undefined;
  /** The JSON body. */
  body?: unknown;
  /** Additional headers, such as the credentials. */
  headers?: Record<string, string>;
  /** Limit for the whole call, body included, in milliseconds. */
  timeoutMs: number;
  /** Gives the call up early, as long as no answer has begun to arrive. */
  signal?: AbortSignal | undefined;
}

/** JSON over HTTP to one control plane. */
export class HttpTransport implements Network, Disposable {
  /** See {@linkcode Network}. */
  readonly apiUrl: string;
  /** See {@linkcode Network}. */
  readonly client: Deno.HttpClient;
  /** See {@linkcode Network}. */
  readonly reachability = new Reachability();

  /** `apiUrl` has no trailing slash and no `/api/v1`; the client is closed with the transport. */
  constructor(apiUrl: string, client: Deno.HttpClient = createClient()) {
    this.apiUrl = apiUrl;
    this.client = client;
  }

  /**
   * Makes one call.
   *
   * @throws {RefusedError} for an answer that is not 2xx.
   * @throws {UnreachableError} when no answer came in time.
   * @throws {UnusableAnswerError} for one that the contract does not know.
   */
  async call<T>(call: HttpCall<T>): Promise<T> {
    const { method, path, body, timeoutMs } = call;
    // One signal for both: to derive one from two costs as much as half of the call.
    const end = new AbortController();
    let isLate = false;
    const inTime = judgeAfter(timeoutMs, () => {
      isLate = true;
      end.abort();
    });
    const giveUp = () => end.abort();
    call.signal?.addEventListener("abort", giveUp);
    if (call.signal?.aborted) giveUp();
    let status: number;
    let text: string;
    let waitMs: number;
    try {
      const response = await fetch(`${this.apiUrl}/api/v1${path}`, {
        method,
        // A redirect would carry the token to a place nobody configured.
        redirect: "manual",
        signal: end.signal,
        client: this.client,
        headers: {
          ...call.headers,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        body: body === undefined ? null : JSON.stringify(body),
      });
      // An answer that is on its way may hold a task that is ours already.
      call.signal?.removeEventListener("abort", giveUp);
      status = response.status;
      if (status >= 300 && status < 400) {
        await response.body?.cancel();
        throw new RefusedError(
          status,
          `redirected to ${
            oneLine(response.headers.get("location") ?? "nowhere")
          }; set api_url to where the control plane really is`,
        );
      }
      const read = await readText(response, response.ok ? MAX_ANSWER_BYTES : MAX_ERROR_BYTES);
      if (read === undefined && response.ok) {
        throw new UnreachableError("the answer is larger than 64 MiB");
      }
      text = read ?? "";
      waitMs = retryAfterMs(response);
    } catch (error) {
      if (error instanceof RefusedError || error instanceof UnreachableError) throw error;
      const why = isLate ? `no answer within ${timeoutMs / 1000} s` : whyFetchFailed(error);
      const Failure = isLate ? TimedOutError : UnreachableError;
      throw new Failure(`${method} ${path}: ${why}`, { cause: error });
    } finally {
      inTime();
      call.signal?.removeEventListener("abort", giveUp);
    }
    const excess = jsonExcess(text);
    const json = excess === undefined ? jsonOf(text) : undefined;
    if (status < 200 || status >= 300) {
      const isOwn = OwnErrorBody.safeParse(json).success;
      throw new RefusedError(status, refusal(status, json), isOwn, waitMs);
    }
    const parsed = call.answer.safeParse(json);
    const isMine = parsed.success && (call.isMine?.(parsed.data) ?? true);
    if (isMine) {
      this.reachability.answered();
      return parsed.data;
    }
    const shape = parsed.success ? "it is about another node or task" : describe(parsed.error);
    throw new UnusableAnswerError(
      `${method} ${path}: the answer is not the control plane's (${excess ?? shape})`,
    );
  }

  /** Closes the idle connections. */
  [Symbol.dispose](): void {
    this.client.close();
  }
}

/** `fetch` hides what happened in the cause, behind the URL, which may hold an enrollment token. */
function whyFetchFailed(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const words = messageOf(cause ?? error);
  // What TLS and HTTP say of each other's first bytes.
  if (/InvalidContentType/.test(words)) return "what answers there speaks http, not https";
  if (/invalid HTTP version/.test(words)) return "what answers there speaks https, not http";
  return words.replace(
    /^error sending request (from \S+ )?for (url )?\S+( \([^)]*\))?: /,
    "",
  );
}

/** Why a place could not be reached: what `fetch` hides, without saying that this is a connection. */
export function whyNotReached(error: unknown): string {
  return whyFetchFailed(error).replace(/^client error \(Connect\): /, "");
}

/** The whole text; undefined when it has more than `maxBytes`, of which the rest is not taken then. */
async function readText(response: Response, maxBytes: number): Promise<string | undefined> {
  if (isShort(response.headers, maxBytes)) return await response.text();
  const { body } = response;
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Whether an answer says that it is no longer: what it says holds for one that is not compressed. */
function isShort(headers: Headers, maxBytes: number): boolean {
  const length = headers.get("content-length");
  return length !== null && !headers.has("content-encoding") && Number(length) <= maxBytes;
}

function refusal(status: number, json: unknown): string {
  const body = ErrorBody.safeParse(json);
  if (!body.success) return `HTTP status ${status}`;
  const { message, errors = [] } = body.data;
  return [...new Set([message, errors].flat())].join("; ").slice(0, MAX_MESSAGE_UNITS);
}

function describe(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue ? `${issue.path.join(".") || "body"}: ${issue.message}` : "unknown shape";
}
