import { whyNotReached } from "../control_plane/http.ts";
import type { Network } from "../control_plane/network.ts";
import { readStart } from "../control_plane/answer_text.ts";
import { TimeLimit } from "../system/stall.ts";
import { endpointOf } from "./transport.ts";

const ANSWER_LIMIT_MS = 5_000;

/**
 * Asks the Socket.IO server for a polling handshake, which it answers although it serves nothing by
 * polling (contract: Realtime).
 *
 * @returns what is wrong, or `undefined` when the answer holds a session id.
 */
export async function probeSocket(
  { apiUrl, client }: Network,
  realtimePath: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  using limit = new TimeLimit(ANSWER_LIMIT_MS);
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
    return whyNotReached(error);
  }
}
