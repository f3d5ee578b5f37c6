/**
 * Opens a session the way the agent does, in a process of its own: what Deno trusts and which proxy
 * it takes is settled once a process. Arguments: api_url, and optionally a CA file.
 */
import * as z from "@zod/zod";
import { createClient } from "../control_plane/network.ts";
import { HttpTransport } from "../control_plane/http.ts";
import { Logger } from "../system/logger.ts";
import { RealtimeSession } from "./realtime_session.ts";

const [apiUrl = "", caFile] = Deno.args;
const client = createClient(caFile ? await Deno.readTextFile(caFile) : undefined);
using transport = new HttpTransport(apiUrl, client);
const done = new AbortController();
const logger = new Logger({
  write: (line) => {
    Deno.stdout.writeSync(new TextEncoder().encode(line));
    if (line.includes("realtime connection failed")) done.abort();
  },
});
await using session = new RealtimeSession({
  network: transport,
  config: () => ({
    realtimeBackoffJitter: 0,
    realtimeNamespace: "/agent-realtime",
    realtimePath: "/socket.io/",
    realtimePingIntervalMs: 2_000,
    realtimeQueueSize: 16,
  }),
  identity: { nodeId: "node-1", agentToken: "the-secret-token" },
  facts: { os: "o", arch: "a", agentVersion: "2", platformVersion: "1", kernelVersion: "6" },
  handlers: { onTerminal: () => {}, onDispatch: () => {}, onRootAccess: () => {} },
  logger,
});
await session.whenReady(done.signal).catch(() => {});
const http = transport.call({
  method: "GET",
  path: "/health",
  answer: z.looseObject({}),
  timeoutMs: 5_000,
});
logger.info("http", await http.then(() => ({ reached: true }), ({ status }) => ({ status })));
