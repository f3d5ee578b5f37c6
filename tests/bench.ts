/**
 * Figures, measured through the agent as a process: `deno task bench [seconds of idleness] [tasks …]`.
 * Each of the last numbers is so many tasks at once that print 10 MB each: 200 take minutes.
 *
 * @module
 */
import { AgentProcess, Fleet } from "./_agent.ts";
import { memory, ms, print } from "./_figures.ts";
import { benchRealtime } from "./bench_realtime.ts";

const LINES = 100_000;
const EXPECTED = Array.from({ length: LINES }, (_, i) => i + 1).join("\n");

/** Runs something on a fresh fleet, so that no figure carries the one before. */
async function onFleet<T>(work: (fleet: Fleet, agent: AgentProcess) => Promise<T>): Promise<T> {
  await using fleet = await Fleet.start();
  await using agent = await fleet.agent();
  const result = await work(fleet, agent);
  await agent.stop();
  return result;
}

async function startUp(): Promise<void> {
  await using fleet = await Fleet.start();
  const startedMs = performance.now();
  await using agent = new AgentProcess(fleet.configFile);
  const { controlPlane } = fleet;
  const claimed = () => controlPlane.requests.some(({ path }) => path.endsWith("/claim"));
  await controlPlane.waitFor(claimed, { what: "the first claim" });
  print("start of the process to the first claim", ms(performance.now() - startedMs));
  print("memory when idle (RSS)", await memory(agent.pid, "VmRSS"));
  const stoppedMs = performance.now();
  await agent.stop();
  print("SIGTERM to exit, idle", ms(performance.now() - stoppedMs));
}

async function shortTask(): Promise<void> {
  await onFleet(async (fleet) => {
    const { controlPlane } = fleet;
    const times: number[] = [];
    for (let i = 0; i < 50; i++) {
      const id = fleet.shell("true");
      await controlPlane.waitForTask(id, ["success"]);
      const { acceptedAt = 0, endedAt = 0 } = controlPlane.task(id);
      times.push(Number(endedAt) - Number(acceptedAt));
    }
    times.sort((a, b) => a - b);
    const bare = await bareShell();
    const median = times[25] ?? NaN;
    print("`true` from claim to completion, median of 50", ms(median));
    print("… worst", ms(times.at(-1) ?? NaN));
    print("… against a bare `sh -lc true`", `${(median / bare).toFixed(1)} times ${ms(bare)}`);
  });
}

async function bareShell(): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 50; i++) {
    const startedMs = performance.now();
    await new Deno.Command("/bin/sh", { args: ["-lc", "true"] }).output();
    times.push(performance.now() - startedMs);
  }
  return times.sort((a, b) => a - b)[25] ?? NaN;
}

async function manyLines(latencyMs: number): Promise<void> {
  await onFleet(async (fleet, agent) => {
    const { controlPlane } = fleet;
    controlPlane.fault({ method: "POST", path: "/logs", latencyMs });
    const startedMs = performance.now();
    const id = fleet.shell(`seq 1 ${LINES}`);
    await controlPlane.waitForTask(id, ["success"], 120_000);
    const tookMs = performance.now() - startedMs;
    const { logs } = controlPlane.task(id);
    const whole = controlPlane.streamText(id, "stdout") === EXPECTED;
    const what = `${LINES} lines at ${latencyMs} ms a call`;
    print(what, `${ms(tookMs)}, ${logs.length} entries, ${whole ? "all in order" : "NOT WHOLE"}`);
    const waiting = logs.length * latencyMs;
    print(
      "… against the calls' own latency",
      `${(tookMs / waiting).toFixed(2)} times ${ms(waiting)}`,
    );
    print("… peak memory (RSS)", await memory(agent.pid, "VmHWM"));
  });
}

async function manyTasks(tasks: number): Promise<void> {
  await using fleet = await Fleet.start({ max_tasks: 0 });
  const { controlPlane } = fleet;
  await using agent = await fleet.agent();
  const startedMs = performance.now();
  const print10Mb = `yes ${"x".repeat(99)} | head -n 100000`;
  const ids = Array.from({ length: tasks }, () => {
    const id = fleet.shell(print10Mb);
    // Answered, but not kept: the control plane is not to fill the memory with it.
    const body = { id: crypto.randomUUID(), taskId: id };
    controlPlane.fault({ method: "POST", path: `/${id}/logs`, latencyMs: 5, status: 200, body });
    return id;
  });
  for (const id of ids) await controlPlane.waitForTask(id, ["success"], 3_600_000);
  const took = ms(performance.now() - startedMs);
  const what = `${tasks} tasks of 10 MB at 5 ms a call: peak memory (RSS)`;
  print(what, `${await memory(agent.pid, "VmHWM")} in ${took}`);
}

const [idleSeconds = 10, ...given] = Deno.args.map(Number);
const atOnce = given.length > 0 ? given : [20];

await startUp();
await shortTask();
await manyLines(5);
await manyLines(20);
for (const tasks of atOnce) await manyTasks(tasks);
await benchRealtime(idleSeconds * 1_000);
