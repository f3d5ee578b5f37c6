import { whyFetchFailed } from "../control_plane/http.ts";
import type { Network } from "../control_plane/network.ts";
import { endpointOf } from "./endpoint.ts";

const ANSWER_LIMIT_MS = 5_000;
const MAX_ANSWER_CHARACTERS = 10_000;

/**
 * Asks the Socket.IO server for a polling handshake, which it answers although it serves nothing by
 * polling (contract: Realtime).
 *
 * @returns what is wrong, or `undefined` when the answer holds a session id.
 */
export async function preflight(
  { apiUrl, client }: Network,
  realtimePath: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), ANSWER_LIMIT_MS);
  try {
    const { origin, path } = endpointOf(apiUrl, realtimePath);
    const response = await fetch(`${origin}${path}?EIO=4&transport=polling`, {
      client,
      redirect: "manual",
      signal: AbortSignal.any([limit.signal, signal]),
    });
    const text = await readStart(response);
    if (/"sid"\s*:/.test(text)) return undefined;
    return `HTTP status ${response.status} without a session id`;
  } catch (error) {
    if (limit.signal.aborted) return `no answer within ${ANSWER_LIMIT_MS / 1_000} s`;
    return whyFetchFailed(error).replace(/^client error \(Connect\): /, "");
  } finally {
    clearTimeout(timer);
  }
}

/** What answers here may be no Socket.IO server at all: its answer is not read to the end. */
async function readStart(response: Response): Promise<string> {
  let text = "";
  for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    if (text.length > MAX_ANSWER_CHARACTERS) break;
  }
  return text;
}
