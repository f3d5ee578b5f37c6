import assert from "node:assert/strict";
import { TestServer } from "./_test_server.ts";
import { TestSession } from "./_test_session.ts";

const ID = "6f0d3f7e-4c1b-4f6e-9a53-0d1f5b1c2a3d";

/** Sends events to a session, and gives what its handlers got of them. */
async function handle(events: [string, unknown?][], throwing = false): Promise<{
  handled: [string, unknown][];
  log: TestSession["log"];
}> {
  await using server = await TestServer.start();
  const handlers = {
    onTerminal: () => {
      throw new Error("cannot");
    },
    onDispatch: () => {},
    onRootAccess: () => {},
  };
  await using test = new TestSession(server.url, {}, throwing ? { handlers } : {});
  await test.session.whenReady();
  for (const [event, payload] of events) server.agents.emit(event, payload);
  server.agents.emit("last");
  await test.logged("unknown realtime event", ({ event }) => event === "last");
  assert.equal(test.session.ready, true);
  return { handled: test.handled, log: test.log.filter(({ level }) => level !== "debug") };
}

Deno.test("terminal events are handed on in order, whatever they carry", async () => {
  const events: [string, unknown][] = [
    ["terminal.start", { type: "terminal.start", sessionId: ID, cols: 0, rows: 0 }],
    ["terminal.input", { sessionId: ID, payload: "bHM=" }],
    ["terminal.resize", null],
    ["terminal.stop", "nonsense"],
  ];
  const { handled } = await handle(events);
  assert.deepEqual(handled, events);
});

Deno.test("a handler that throws harms nobody else", async () => {
  const { log } = await handle([["terminal.start", {}], ["terminal.stop", {}]], true);
  const failed = log.filter(({ msg }) => msg === "realtime event could not be handled");
  assert.deepEqual(failed.map(({ event, error }) => [event, error]), [
    ["terminal.start", "cannot"],
    ["terminal.stop", "cannot"],
  ]);
});

Deno.test("a task is dispatched in three shapes; what has none of them is told of once", async () => {
  const payload = { command: "true" };
  const { handled, log } = await handle([
    ["task.dispatch", {
      type: "task.dispatch",
      task: { id: "a", type: "shell.exec", payload, workspaceId: "w", timeoutSeconds: 9 },
    }],
    ["task.dispatch", { id: "b", type: "shell.exec", payload, status: "queued" }],
    ["task.dispatch", { taskId: "c", action: "shell.exec", data: payload, timeout: 30 }],
    ["task.dispatch", { taskId: "d", action: "shell.exec", data: payload, timeout: "1m30s" }],
    ["task.dispatch", { taskId: "e", action: "packageList", timeout: "soon" }],
    ["task.dispatch", null],
    ["task.dispatch", { task: { id: "../../etc", type: "shell.exec" } }],
    ["task.dispatch", "run this"],
  ]);
  assert.deepEqual(handled.map(([, task]) => task), [
    { id: "a", type: "shell.exec", payload, timeoutSeconds: 9 },
    { id: "b", type: "shell.exec", payload },
    { id: "c", type: "shell.exec", payload, timeoutSeconds: 30 },
    { id: "d", type: "shell.exec", payload, timeoutSeconds: 90 },
    { id: "e", type: "packageList", payload: {}, timeoutSeconds: undefined },
  ]);
  assert.equal(log.filter(({ event }) => event === "task.dispatch").length, 1);
});

Deno.test("a root access that is updated is handed on", async () => {
  const rootAccess = { profile: "all", updatedAt: null };
  const { handled, log } = await handle([
    ["root-access.updated", { type: "root-access.updated", rootAccess: { ...rootAccess, new: 1 } }],
    ["root-access.updated", { rootAccess: null }],
  ]);
  assert.deepEqual(handled, [["root", rootAccess]]);
  assert.equal(log.filter(({ event }) => event === "root-access.updated").length, 1);
});

Deno.test("refusals are told once a minute for each code and event", async () => {
  const refusal = { eventType: "agent.metrics", message: "cpuUsage must not exceed 100" };
  const { log } = await handle([
    ["agent.error", refusal],
    ["agent.error", refusal],
    ["agent.error", { code: "UNKNOWN_EVENT", message: "unknown" }],
    ["agent.error", { code: 5 }],
    ["agent.error"],
  ]);
  assert.deepEqual(log.slice(1).map(({ eventType, code, message }) => [eventType, code, message]), [
    ["agent.metrics", undefined, refusal.message],
    [undefined, "UNKNOWN_EVENT", "unknown"],
    [undefined, undefined, "no reason given"],
    [undefined, undefined, undefined],
  ]);
});

Deno.test("words of any length are logged short", async () => {
  const long = "x".repeat(1_000_000);
  const { log } = await handle([["agent.error", { eventType: long, code: long, message: long }]]);
  const [refused] = log.filter(({ msg }) => msg === "control plane refused a realtime event");
  assert(JSON.stringify(refused).length < 5_000);
});
