import assert from "node:assert/strict";
import { AgentApi } from "./agent_api.ts";
import { UnusableAnswerError } from "./errors.ts";
import { HttpTransport } from "./http.ts";

const IDENTITY = { nodeId: "node-1", agentToken: "the-secret-token" };
const FACTS = { os: "o", arch: "a", agentVersion: "1", platformVersion: "2", kernelVersion: "3" };
const ENTRY = { stream: "stdout", line: "x", timestamp: "2026-01-01T00:00:00Z" } as const;

type Call = (api: AgentApi) => Promise<unknown>;

const CONTROL = { taskId: "t", status: "running", cancelRequested: false };
const STORED = { id: "e1", taskId: "t", message: "x" };
const TASK = { id: "t", status: "running" };

/** Each call with answers that are the control plane's, the right one first, and others. */
const CALLS: Record<string, [call: Call, right: unknown[], wrong: unknown[]]> = {
  heartbeat: [
    (api) => api.heartbeat(FACTS),
    [{ acknowledged: true, nodeId: "node-1", status: "online" }],
    [{ acknowledged: true, nodeId: "node-2" }, { acknowledged: true }, { nodeId: "node-1" }],
  ],
  claim: [
    (api) => api.claim(0),
    [{ task: null, outputTruncated: false, rootAccess: null }],
    [{ task: null }, { outputTruncated: false }, { task: {}, outputTruncated: false }],
  ],
  accepted: [
    (api) => api.accepted("t"),
    [STORED, { ok: true, duplicate: true, taskId: "t" }],
    [{ ok: true, taskId: "t" }, { taskId: "t" }, { ...STORED, taskId: "u" }],
  ],
  started: [(api) => api.started("t"), [TASK], [{ ...TASK, id: "u" }, { id: "t" }, STORED]],
  log: [(api) => api.log("t", ENTRY), [STORED], [{ ...STORED, taskId: "u" }, { taskId: "t" }]],
  completed: [
    (api) => api.completed("t", { status: "success" }),
    [{ ...TASK, status: "success" }],
    [{ ...TASK, id: "u" }, { status: "success" }],
  ],
  control: [
    (api) => api.control("t"),
    [CONTROL],
    [{ ...CONTROL, taskId: "u" }, { taskId: "t", status: "running" }],
  ],
};
/** What stands in the control plane's place may say to any call. */
const STRANGE = [{}, [], null, "ok", { statusCode: 503, message: "no upstream" }, { ok: true }];

Deno.test("an answer is the control plane's only in its shape, and about this node and task", async () => {
  let answer: unknown;
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => Response.json(answer),
  );
  using transport = new HttpTransport(`http://127.0.0.1:${server.addr.port}`);
  const api = new AgentApi(transport, IDENTITY, () => 60_000);
  for (const [name, [call, right, wrong]] of Object.entries(CALLS)) {
    for (answer of right) await call(api);
    const { answers } = transport.reachability;
    for (answer of [...wrong, ...STRANGE]) {
      await assert.rejects(call(api), UnusableAnswerError, `${name}: ${JSON.stringify(answer)}`);
    }
    assert.equal(transport.reachability.answers, answers, "nobody else is woken by them");
  }
});
