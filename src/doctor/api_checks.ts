import { AgentApi } from "../control_plane/agent_api.ts";
import { isUnauthorized, RefusedError } from "../control_plane/errors.ts";
import { NAME } from "../system/paths.ts";
import { oneLine } from "../system/text.ts";
import { messageOf } from "../system/user_error.ts";
import { type Answer, ANSWER_LIMIT_MS, problemOfAnswer } from "../control_plane/api_answer.ts";
import { type Check, fail, failureOf, type Finding, ok, skip, warn } from "./check.ts";
import type { CheckContext } from "./check_context.ts";
import { proxyFix } from "./tls_check.ts";
import { endpointOf, nativeTransport } from "../realtime/transport.ts";
import { dialFailure, RealtimeFailure } from "../realtime/failures.ts";
import { probeSocket } from "../realtime/probe_socket.ts";
import { isTimeout, within } from "../system/deadline.ts";

const CALL_LIMIT_MS = 4_500;
const CLOCK_WARN_MS = 5_000;
const CLOCK_FAIL_MS = 300_000;

/** Whether the control plane's API answers, lets this node in, and has the same time. */
export function apiChecks(context: CheckContext): Check[] {
  return [
    { name: "API", needs: ["TLS"], limitMs: ANSWER_LIMIT_MS + 1_000, run: () => checkApi(context) },
    { name: "credentials", needs: ["API", "identity"], run: () => checkCredentials(context) },
    { name: "clock", needs: ["API"], run: () => checkClock(context) },
  ];
}

async function checkApi({ answer, route }: CheckContext): Promise<Finding> {
  const { url, proxy } = await route();
  let got: Answer;
  try {
    got = await answer();
  } catch (error) {
    const finding = failureOf(error);
    if (finding.fix) return finding;
    return fail(finding.found, `check that the control plane runs at ${url.origin}`);
  }
  if (got.status === 407) return fail("the proxy wants a password", proxyFix(proxy?.variable));
  const problem = problemOfAnswer(got);
  if (problem) return fail(problem.found, problem.fix);
  return ok(`answers in ${Math.round(got.tookMs)} ms`);
}

/** Asks about a task that nobody has: who is let in hears that it is not there (404). */
async function checkCredentials({ identity, transport }: CheckContext): Promise<Finding> {
  const known = await identity();
  if (!known) return skip("the machine is not enrolled");
  const api = new AgentApi(await transport(), known, () => CALL_LIMIT_MS);
  try {
    await api.control(crypto.randomUUID());
  } catch (error) {
    if (isUnauthorized(error)) {
      return fail(
        `refused: ${oneLine(messageOf(error))}`,
        `if the node was deleted, or its token replaced: sudo ${NAME} enroll --again, ` +
          `then sudo ${NAME} restart`,
      );
    }
    const isNotThere = error instanceof RefusedError && error.status === 404;
    if (!isNotThere) return fail(oneLine(messageOf(error)), "look into the control plane's log");
  }
  return ok(`accepted for node ${known.nodeId}`);
}

async function checkClock({ answer }: CheckContext): Promise<Finding> {
  const { date, askedAtMs, tookMs } = await answer();
  if (!date) return skip("the control plane does not say its time");
  // It tells whole seconds, of a moment between the question and its answer.
  const serverMs = date.getTime() + 500;
  const offMs = askedAtMs + tookMs / 2 - serverMs;
  const blurMs = 500 + tookMs / 2;
  if (Math.abs(offMs) <= CLOCK_WARN_MS + blurMs) return ok("agrees with the control plane's");
  const found = `${words(Math.abs(offMs))} ${
    offMs > 0 ? "ahead of" : "behind"
  } the control plane's`;
  const fix = "set this machine's clock: timedatectl set-ntp true";
  return Math.abs(offMs) > CLOCK_FAIL_MS + blurMs ? fail(found, fix) : warn(found, fix);
}

function words(ms: number): string {
  return ms < 120_000 ? `${Math.round(ms / 1_000)} s` : `${Math.round(ms / 60_000)} min`;
}

/** How long WebSocket and namespace may take, in milliseconds; the probe has a limit itself. */
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
  const problem = await probeSocket(transport, config.realtimePath, signal);
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
