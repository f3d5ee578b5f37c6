import { endpointOf } from "../realtime/endpoint.ts";
import { dialFailure, RealtimeFailure } from "../realtime/failures.ts";
import { preflight } from "../realtime/probe.ts";
import { nativeTransport } from "../realtime/transport.ts";
import { isTimeout, within } from "../system/deadline.ts";
import { oneLine } from "../system/text.ts";
import { messageOf } from "../system/user_error.ts";
import { type Check, fail, type Finding, ok, skip } from "./check.ts";
import type { CheckContext } from "./check_context.ts";

/** How long WebSocket and namespace may take, in milliseconds; the preflight has a limit itself. */
const JOIN_LIMIT_MS = 3_000;

/** Whether a realtime session could begin. */
export function socketChecks(context: CheckContext): Check[] {
  return [{
    name: "Socket.IO",
    needs: ["API"],
    limitMs: JOIN_LIMIT_MS + 5_500,
    run: (signal) => checkSocket(context, signal),
  }];
}

/**
 * Joins the agents' namespace and leaves. To authenticate would make the server close the socket of
 * the agent that runs.
 */
async function checkSocket(context: CheckContext, signal: AbortSignal): Promise<Finding> {
  const { config } = await context.loaded();
  if (!config.realtimeEnabled) return skip("realtime_enabled is false");
  const transport = await context.transport();
  const problem = await preflight(transport, config.realtimePath, signal);
  if (problem) {
    return fail(
      `no handshake at ${config.realtimePath}: ${problem}`,
      "check realtime_path, and that what stands before the control plane passes this path on",
    );
  }
  try {
    await join(context);
  } catch (error) {
    if (!(error instanceof RealtimeFailure)) throw error;
    return fail(`${error.failure}: ${oneLine(error.message)}`, error.check);
  }
  return ok(`WebSocket opens, ${config.realtimeNamespace} can be joined`);
}

async function join({ loaded, transport }: CheckContext): Promise<void> {
  const { config: { realtimePath, realtimeNamespace } } = await loaded();
  const { apiUrl, client } = await transport();
  const io = await import("socket.io-client");
  const { origin, path } = endpointOf(apiUrl, realtimePath);
  const manager = new io.Manager(origin, {
    path,
    transports: [nativeTransport(io.WebSocket, client, () => {})],
    autoConnect: false,
    reconnection: false,
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = manager.socket(realtimeNamespace);
  let dialled = false;
  manager.once("error", (error) => reject(dialFailure(error)));
  manager.once("open", () => dialled = true);
  socket.once("connect", resolve);
  socket.once("connect_error", (error) => {
    if (dialled) reject(new RealtimeFailure("namespace connect failure", messageOf(error)));
  });
  try {
    socket.connect();
    await within(promise, JOIN_LIMIT_MS);
  } catch (error) {
    throw isTimeout(error) ? dialFailure(`no answer within ${JOIN_LIMIT_MS / 1_000} s`) : error;
  } finally {
    socket.disconnect();
  }
}
