import assert from "node:assert/strict";
import { join } from "@std/path";
import * as z from "@zod/zod";
import type { AgentProcess, Fleet } from "./_agent.ts";
import { PATIENCE_MS, textOf } from "./_processes.ts";
import {
  authenticated,
  epochMs,
  leavesWell,
  liveAgent,
  onLiveFleet,
  realtimeFleet,
  spawnLive,
} from "./_realtime.ts";
import { untilThere } from "./_shell.ts";
import { tell, together } from "./_together.ts";

const FAILED = "realtime connection failed";
const UP = "realtime session is up";

/** The names of all failures that were logged where a person sees them. */
function failures(agent: AgentProcess): unknown[] {
  return agent.logged(FAILED).filter(({ level }) => level !== "debug")
    .map(({ failure }) => failure);
}

/** The received events of a name, all or those of a socket. */
function received({ controlPlane: cp }: Fleet, event: string, socketId?: string) {
  return cp.realtime.events.filter((record) =>
    record.event === event && (socketId === undefined || record.socketId === socketId)
  );
}

/**
 * Checks times that the agent has taken: none comes sooner than its interval, and the quickest are
 * not as late as the 2 s that would be the default. The others may be, on a machine that stood still.
 */
function inTheirInterval(times: number[], intervalMs: number): string {
  const paces = times.slice(1).map((at, i) => at - (times[i] ?? NaN));
  const told = paces.map((pace) => pace.toFixed()).join(", ");
  // Times are cut to whole milliseconds, and a timer may come a part of one early.
  assert(Math.min(...paces) >= intervalMs / 2 - 2 && Math.min(...paces) < 1_500, told);
  return told;
}

Deno.test("a session is up soon after the start, and gone at once after the end", async () => {
  const times: number[] = [];
  const endTimes: number[] = [];
  for (let i = 0; i < 3; i++) {
    await using fleet = await realtimeFleet({ log_level: "debug", shutdown_timeout: "10m" });
    const { controlPlane: cp } = fleet;
    const startedAt = epochMs();
    await using agent = spawnLive(fleet);
    times.push((await authenticated(cp)).at - startedAt);
    await agent.waitForLog(UP);

    const [auth] = received(fleet, "agent.auth");
    const { agentVersion, platformVersion, kernelVersion } = cp.node(fleet.nodeId);
    assert.deepEqual(auth?.payload, {
      type: "agent.auth",
      nodeId: fleet.nodeId,
      agentToken: "***",
      agentVersion,
      platformVersion,
      kernelVersion,
    });
    for (const version of [agentVersion, platformVersion, kernelVersion]) {
      assert(version, "all three versions");
    }
    const ways = cp.requests.filter(({ path }) => path.startsWith("/socket.io/"));
    assert.deepEqual(
      ways.map(({ path, status }) => [/transport=(\w+)/.exec(path)?.[1], status]),
      [["polling", 200], ["websocket", 101]],
    );
    const stoppedAt = epochMs();
    await leavesWell(fleet, agent);
    endTimes.push(epochMs() - stoppedAt);
    // That a slow machine is slow is no failure.
    const complaints = agent.events.filter(({ level, msg }) =>
      ["warn", "error"].includes(level) && !msg.startsWith("realtime ping is ")
    );
    assert.deepEqual(complaints, []);
  }
  tell(`start to authenticated: ${times.map((time) => time.toFixed()).join(", ")} ms`);
  tell(`SIGTERM to the end: ${endTimes.map((time) => time.toFixed()).join(", ")} ms`);
  // Neither a second try, which the requests would show, nor the time of tasks was waited for.
  assert(Math.max(...times, ...endTimes) < PATIENCE_MS);
});

const SESSIONS: Record<string, () => Promise<void>> = {
  "a socket that is cut, ended, or lost with its server is replaced": () =>
    onLiveFleet(async (fleet, agent) => {
      const { controlPlane: cp } = fleet;
      const ends = [
        [/^transport (close|error)$/, () => cp.realtime.dropSockets()],
        [/^io server disconnect$/, () => cp.realtime.disconnect(fleet.nodeId)],
      ] as const;
      const times: string[] = [];
      const nth = (msg: string, n: number) =>
        agent.waitForLog(msg, (event) => agent.logged(msg).indexOf(event) === n);
      let { id } = await authenticated(cp);
      for (const [reason, end] of ends) {
        const endedAt = epochMs();
        end();
        const next = await authenticated(cp, id);
        id = next.id;
        const last = await nth("realtime session ended", times.length);
        // The control plane has authenticated the agent before the agent knows and logs it.
        await nth(UP, times.length + 1);
        assert.equal(last.level, "warn");
        assert.match(String(last.reason), reason);
        times.push(`${last.reason} ${(next.at - endedAt).toFixed()} ms`);
      }
      await cp.stop();
      await agent.waitForLog(FAILED);
      await cp.start();
      const backAt = epochMs();
      const next = await authenticated(cp, id);
      times.push(`the server back ${(next.at - backAt).toFixed()} ms`);
      tell(`until authenticated again: ${times.join(", ")}`);
      await nth(UP, 3);
      assert.equal(agent.logged(UP).length, 4);
      assert.deepEqual([...new Set(failures(agent))], ["transport dial failure"]);
    }),

  "pings come in their interval, and carry nothing": () =>
    onLiveFleet(async (fleet, agent) => {
      const { controlPlane: cp } = fleet;
      const pings = () => received(fleet, "agent.ping");
      await cp.waitFor(() => pings().length >= 10);
      const times = pings().slice(0, 10).map(({ at, payload }) => {
        const { timestamp, ...rest } = z.record(z.string(), z.string()).parse(payload);
        assert.deepEqual(rest, { type: "agent.ping" });
        const sentAt = Date.parse(timestamp ?? "");
        assert(Math.abs(sentAt - at) < 30_000);
        return sentAt;
      });
      tell(`pings every 200 ms: ${inTheirInterval(times, 200)} ms`);
      cp.options.realtimeHandlerMs = () => 2_100;
      const { tookMs, level } = await agent.waitForLog("realtime ping is slow");
      assert.equal(level, "warn");
      assert(Number(tookMs) > 2_000);
      cp.options.realtimeHandlerMs = () => 0;
    }, { realtime_ping_interval: "200ms" }),

  "metrics come at once, then in their interval, and are true": () =>
    onLiveFleet(async (fleet) => {
      const { controlPlane: cp } = fleet;
      const { at } = await authenticated(cp);
      await cp.waitFor(() => cp.realtime.metrics().length >= 5);
      const metrics = cp.realtime.metrics();
      const firstMs = (metrics[0]?.at ?? NaN) - at;
      const times = metrics.map(({ collectedAt }) => Date.parse(collectedAt ?? ""));
      const paces = inTheirInterval(times, 300);
      tell(`metrics every 300 ms: first ${firstMs.toFixed()} ms, then ${paces} ms`);
      const { total } = Deno.systemMemoryInfo();
      for (const snapshot of metrics) {
        for (const usage of ["cpuUsage", "memoryUsage", "diskUsage"] as const) {
          assert(snapshot[usage] >= 0 && snapshot[usage] <= 100, usage);
        }
        assert(snapshot.memoryUsage > 0 && snapshot.diskUsage > 0);
        const memory = z.object({ totalBytes: z.number() }).parse(snapshot.memory);
        assert.equal(memory.totalBytes, total);
        assert.equal(snapshot.agentVersion, cp.node(fleet.nodeId).agentVersion);
      }
    }, { metrics_interval: "300ms" }),

  "after a reconnect a snapshot is taken at once, whatever the interval": () =>
    onLiveFleet(async ({ controlPlane: cp }) => {
      const { id } = await authenticated(cp);
      await cp.waitFor(() => cp.realtime.metrics().length >= 1);
      cp.realtime.dropSockets();
      const { at } = await authenticated(cp, id);
      await cp.waitFor(() => cp.realtime.metrics().length >= 2);
      const [, snapshot] = cp.realtime.metrics();
      assert(Date.parse(snapshot?.collectedAt ?? "") >= at - 50, "it is new");
    }, { metrics_interval: "1h" }),

  "of the time without a session at most the newest snapshot is kept": () =>
    onLiveFleet(async (fleet, agent) => {
      const { controlPlane: cp } = fleet;
      const { id } = await authenticated(cp);
      await cp.waitFor(() => cp.realtime.metrics().length > 3);
      await cp.stop();
      await agent.waitForLog(FAILED);
      await cp.start();
      const next = await authenticated(cp, id);
      await cp.waitFor(() => received(fleet, "agent.metrics", next.id).length > 3);
      const old = cp.realtime.metrics()
        .filter((snapshot) => snapshot.at >= next.at)
        .filter(({ collectedAt }) => Date.parse(collectedAt ?? "") < next.at - 50);
      assert(old.length <= 1, `${old.length} old snapshots`);
    }, { metrics_interval: "100ms" }),

  "a refusal of the control plane is logged": () =>
    onLiveFleet(async ({ controlPlane: cp }, agent) => {
      cp.realtime.refuse("agent.metrics", { message: "not today" });
      const refused = await agent.waitForLog("control plane refused a realtime event");
      assert.deepEqual([refused.eventType, refused.message], ["agent.metrics", "not today"]);
      assert.equal(refused.level, "warn");
    }, { metrics_interval: "300ms" }),
};

Deno.test("the session lives on", () => together(SESSIONS));

Deno.test("a task that is dispatched runs once, in whatever shape and however often it comes", async () => {
  await using fleet = await realtimeFleet();
  await using agent = await liveAgent(fleet);
  const { controlPlane: cp, nodeId } = fleet;
  /** A command that tells that it ran. */
  const noting = (file: string) =>
    `echo run >>${join(fleet.folder, file)}; echo out; echo err >&2; sleep 0.3; exit 3`;
  const spec = (file: string) => ({ type: "shell.exec", payload: { command: noting(file) } });
  const check = async (id: string, file: string) => {
    const { status, completion } = await fleet.ended(id);
    assert.deepEqual([status, completion?.exitCode], ["failed", 3], cp.describe(id));
    assert.equal(cp.streamText(id, "stdout"), "out");
    assert.equal(cp.streamText(id, "stderr"), "err");
    assert.equal(await textOf(join(fleet.folder, file)), "run\n");
    assert.equal(cp.maxInFlight(id), 1);
  };
  const shapes = (["wrapped", "bare", "action"] as const)
    .map((shape) => [shape, cp.realtime.dispatch(spec(shape), shape)] as const);
  for (const [shape, id] of shapes) await check(id, shape);

  const claimed = cp.queueTask(spec("claimed"));
  const again = () => {
    const task = { id: claimed, ...spec("claimed") };
    assert(cp.realtime.send(nodeId, "task.dispatch", { type: "task.dispatch", task }));
  };
  again();
  await cp.waitForTask(claimed, ["running"]);
  again();
  await check(claimed, "claimed");
  const late = cp.realtime.dispatch({
    type: "shell.exec",
    payload: { command: "sleep 60" },
    timeoutSeconds: 1,
  }, "action");
  assert.equal((await fleet.ended(late)).completion?.status, "timeout");

  for (const payload of [null, {}, { task: null }, { taskId: 7, action: "shell.exec" }]) {
    cp.realtime.send(nodeId, "task.dispatch", payload);
  }
  await agent.waitForLog("realtime event cannot be used: it is not as the contract has it");
  await fleet.closed(claimed);
  again();
  await agent.waitForLog("task was received again after its end");
  await agent.waitForLog("task is no longer wanted");
  await check(claimed, "claimed");
  // It cannot be known that a task which comes again has ended for good.
  await leavesWell(fleet, agent, /started was refused with 409/);
});

Deno.test("a task that is dispatched beyond max_tasks is accepted when another has ended", async () => {
  await using fleet = await realtimeFleet({ max_tasks: 1 });
  await using agent = await liveAgent(fleet);
  const { controlPlane: cp } = fleet;
  const go = join(fleet.folder, "go");
  const first = fleet.shell(`echo up; ${untilThere(go)}`);
  await cp.waitForTask(first, ({ logs }) => logs.length > 0);
  const next = cp.realtime.dispatch({ type: "shell.exec", payload: { command: "echo late" } });
  await agent.waitForLog("pushed task waits for another to end", (event) => event.taskId === next);
  assert.equal(cp.task(next).status, "queued");
  await Deno.writeTextFile(go, "");
  assert.equal((await fleet.ended(next)).status, "success");
  assert.equal(cp.streamText(next, "stdout"), "late");
  assert.deepEqual(cp.violations, []);
});
