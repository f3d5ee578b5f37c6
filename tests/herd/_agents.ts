/**
 * Many agents in one process, without machines under them: the real heartbeat loop, claim loop,
 * retry code and realtime session of each. It reads a {@linkcode Herd} from its input and runs until
 * that ends.
 */
import { delay } from "@std/async";
import * as z from "@zod/zod";
import { sendHeartbeats } from "../../src/agent/heartbeat_loop.ts";
import { AgentApi } from "../../src/control_plane/agent_api.ts";
import { HttpTransport } from "../../src/control_plane/http.ts";
import { createClient } from "../../src/control_plane/network.ts";
import { RealtimeSession } from "../../src/realtime/realtime_session.ts";
import { Logger } from "../../src/system/logger.ts";
import { claimTasks } from "../../src/tasks/claim_loop.ts";
import { TelemetrySampler } from "../../src/telemetry/sampler.ts";
import { type MetricsSnapshot, SnapshotReader } from "../../src/telemetry/snapshot.ts";
import { seeded } from "../_chaos.ts";
import { LOOK_MS, stallNoter } from "./_stall.ts";

/** What the agents of one process are started with; the settings are what users have. */
export const Herd = z.object({
  apiUrl: z.string(),
  seed: z.number(),
  spreadMs: z.number(),
  nodes: z.array(z.object({ nodeId: z.string(), agentToken: z.string() })),
});
/** See above. */
export type Herd = z.infer<typeof Herd>;
type Node = Herd["nodes"][number];

const FACTS = {
  os: "debian",
  arch: "amd64",
  agentVersion: "2.0.0",
  platformVersion: "12.11",
  kernelVersion: "6.1.0",
};
/** Pings and snapshots are of no interest here, and would be most of the work: agents send them every 2 s. */
const EVENT_EVERY_MS = 10_000;
const CONFIG = {
  realtimeBackoffJitter: 0.2,
  realtimeNamespace: "/agent-realtime",
  realtimePath: "/socket.io/",
  realtimePingIntervalMs: EVENT_EVERY_MS,
  realtimeQueueSize: 1_024,
};
/** All machines of a process would else dial before the first is answered. */
const START_EVERY_MS = 20;
const silent = new Logger({ write: () => {} });

interface Shared {
  herd: Herd;
  client: Deno.HttpClient;
  /** One machine's, for all of them. */
  snapshot: MetricsSnapshot | undefined;
}

function runAgent(identity: Node, { herd, client, snapshot }: Shared): void {
  const transport = new HttpTransport(herd.apiUrl, client);
  transport.reachability.spreadMs = () => herd.spreadMs;
  const api = new AgentApi(transport, identity, () => 10_000);
  const { signal } = new AbortController();
  const shared = { api, logger: silent, signal };
  const link = new RealtimeSession({
    network: transport,
    config: () => CONFIG,
    identity,
    facts: FACTS,
    handlers: { onTerminal: () => {}, onDispatch: () => {}, onRootAccess: () => {} },
    onReady: () => sampler.sampleNow(),
    logger: silent,
  });
  const read = () => Promise.resolve(snapshot);
  const sampler = new TelemetrySampler({ read, link, intervalMs: () => EVENT_EVERY_MS });
  void sendHeartbeats({ ...shared, facts: FACTS, intervalMs: () => 30_000 });
  void claimTasks({
    ...shared,
    waitMs: () => 15_000,
    tasks: { full: false, take: () => true },
  });
  void sampler.run(signal);
}

if (import.meta.main) {
  const input = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  // deno-lint-ignore no-console
  setInterval(stallNoter((ms) => console.log(ms)), LOOK_MS);
  let text = "";
  for await (const part of input) {
    text += part;
    if (!text.endsWith("\n")) continue;
    const herd = Herd.parse(JSON.parse(text));
    text = "";
    Math.random = seeded(herd.seed);
    const client = createClient();
    const reader = new SnapshotReader({ logger: silent });
    const snapshot = await reader.read(new AbortController().signal);
    for (const node of herd.nodes) {
      runAgent(node, { herd, client, snapshot });
      await delay(START_EVERY_MS);
    }
  }
  Deno.exit(0);
}
