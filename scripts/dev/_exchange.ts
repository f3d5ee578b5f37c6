import type { IncomingMessage, ServerResponse } from "node:http";
import { delay } from "@std/async";
import { HttpError } from "./_http_error.ts";
import type { FaultPlan } from "./_faults.ts";

const MAX_BODY_BYTES = 50 * 1024 * 1024;

/** Reads a JSON body: undefined when there is none or it is not declared as JSON, 400, 413. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (bytes > MAX_BODY_BYTES) throw new HttpError(413, "request entity too large");
  if (bytes === 0 || !request.headers["content-type"]?.includes("json")) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    if (typeof value === "object" && value !== null) return value;
  } catch (thrown) {
    throw new HttpError(400, thrown instanceof Error ? thrown.message : String(thrown));
  }
  throw new HttpError(400, "the body is neither a JSON object nor an array");
}

/** Resets the TCP connection under a request. */
export function reset(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}

/** Sends an answer, with the further headers and the drip that a fault asks for. */
export async function send(
  response: ServerResponse,
  status: number,
  text: string,
  signal: AbortSignal,
  { headers, drip }: Pick<FaultPlan, "headers" | "drip"> = {},
): Promise<void> {
  const bytes = Buffer.from(text);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": bytes.length,
    ...headers,
  });
  if (!drip) return void response.end(bytes);
  const step = drip.bytes ?? 1;
  for (let at = 0; at < bytes.length && !response.destroyed; at += step) {
    response.write(bytes.subarray(at, at + step));
    await delay(drip.everyMs, { signal });
  }
  response.end();
}
