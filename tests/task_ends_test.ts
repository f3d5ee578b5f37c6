import assert from "node:assert/strict";
import { delay } from "@std/async";
import { join } from "@std/path";
import { hasEnded, type Task } from "../scripts/dev/control_plane.ts";
import { Fleet } from "./_agent.ts";
import { eventually, livingWith, PATIENCE_MS } from "./_processes.ts";
import { epochMs } from "./_realtime.ts";
import { tell, together } from "./_together.ts";

/** Commands whose processes do not leave by themselves, each printing a line once it is there. */
const STUBBORN = {
  "ignores SIGTERM": 'trap "" TERM; echo ready; while :; do sleep 0.2; done',
  "in a session of its own": 'setsid sh -c "sleep 1000" & echo ready; wait',
  "in a session of its own, ignoring SIGTERM":
    `setsid sh -c 'trap "" TERM; echo ready; while :; do sleep 0.2; done' & wait`,
  "forked twice": "(setsid sh -c '(sleep 1000 &)' &); sleep 0.3; echo ready; sleep 1000",
  "forked twice, its parents gone":
    "(setsid sh -c '(exec sleep 1000 >/dev/null 2>&1 &)' &); echo ready; sleep 1000",
  "a pipe of many": "sleep 1000 | cat | cat & echo ready; wait",
};

/** Prints a line and goes on. A shell that outlives its program for a moment would print how that ended. */
const BEGUN_AND_ON = "echo begun; exec sleep 1000";

/** Time limits to try, in milliseconds: on a slow machine a command does not begin within the first. */
const LIMITS_MS = [2_500, 10_000, 40_000];

/** Runs a command into a time limit that lets it print something first. */
async function overdue(
  fleet: Fleet,
  command: string,
  payload: Record<string, unknown> = {},
): Promise<Readonly<Task>> {
  for (const limitMs of LIMITS_MS) {
    const task = await fleet.ended(fleet.shell(command, { ...payload, timeout: `${limitMs}ms` }));
    if (task.logs.some(({ stream }) => stream === "stdout")) return task;
  }
  throw new Error(`it prints nothing within ${LIMITS_MS.at(-1)} ms: ${command}`);
}

/** How long a task went on, since its start or since another time in milliseconds. */
function ranMs({ startedAt, endedAt }: Readonly<Task>, sinceMs = startedAt): number {
  return (endedAt ?? NaN) - (sinceMs ?? NaN);
}

Deno.test("a time limit ends a task, wherever it is set", async () => {
  await using fleet = await Fleet.start({ task_timeout: "3500ms" });
  const { controlPlane: cp } = fleet;
  await using _agent = await fleet.agent();

  const endsAfter = async (
    limitMs: number,
    payload: Record<string, unknown>,
    task: Record<string, unknown> = {},
  ) => {
    const command = "sleep 1000";
    const id = cp.queueTask({ type: "shell.exec", payload: { command, ...payload }, ...task });
    const ended = await fleet.ended(id);
    const { status, reason, completion } = ended;
    assert.equal(status, "failed");
    assert.equal(reason, "timeout");
    assert.equal(completion?.status, "timeout");
    assert.equal(completion.error, `time limit of ${limitMs / 1_000} s reached`);
    assert.equal(cp.streamText(id, "system"), `[time limit of ${limitMs / 1_000} s reached]`);
    const tookMs = ranMs(ended);
    tell(`a limit of ${limitMs} ms: ended after ${tookMs.toFixed()} ms`);
    assert(tookMs >= limitMs - 20 && tookMs < limitMs + PATIENCE_MS, `it took ${tookMs} ms`);
  };
  await together({
    "the task's own": () =>
      endsAfter(3_000, { timeout_seconds: 500, timeout: "600s" }, { timeoutSeconds: 3 }),
    "payload.timeout_seconds": () => endsAfter(3_000, { timeout_seconds: 3, timeout: "500s" }),
    "seconds as text": () => endsAfter(3_000, { timeout_seconds: "3" }),
    "payload.timeout": () => endsAfter(2_700, { timeout: "2700ms" }),
    "a fraction": () => endsAfter(2_500, { timeout_seconds: 2.5 }),
    "zero is none": () => endsAfter(3_500, { timeout_seconds: 0, timeout: "0s" }),
    "task_timeout": () => endsAfter(3_500, {}),
    "what was printed by then is told": async () => {
      const { reason, completion } = await overdue(fleet, BEGUN_AND_ON);
      assert.equal(reason, "timeout");
      assert.equal(completion?.output, "begun");
    },
    "a task that is quicker": async () => {
      const { status } = await fleet.ended(fleet.shell("sleep 0.2", { timeout: "600s" }));
      assert.equal(status, "success");
    },
    "a longer one than task_timeout": async () => {
      const { status } = await fleet.ended(fleet.shell("sleep 4", { timeout: "600s" }));
      assert.equal(status, "success");
    },
  });
  assert.deepEqual(cp.violations, []);
});

Deno.test("a cancelled or overdue task leaves no process behind", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp } = fleet;
  await using _agent = await fleet.agent();

  const cancelled = async (command: string, payload: Record<string, unknown>, mark: string) => {
    const id = fleet.shell(command, payload);
    await cp.waitForTask(id, ({ logs }) => logs.length > 0);
    assert((await livingWith(mark)).length > 0, "nothing runs");
    cp.cancelTask(id);
    return await fleet.ended(id);
  };
  const leavesNothing = async (command: string, how: "cancel" | "limit") => {
    const mark = `TEST_CASE=${crypto.randomUUID()}`;
    const [name = "", value = ""] = mark.split("=");
    const payload = { environment: { [name]: value } };
    const { completion } = how === "cancel"
      ? await cancelled(command, payload, mark)
      : await overdue(fleet, command, payload);
    assert.deepEqual(await livingWith(mark), []);
    assert.equal(completion?.status, how === "cancel" ? "cancelled" : "timeout");
  };
  const cases = Object.entries(STUBBORN).flatMap(([name, command]) =>
    (["cancel", "limit"] as const).map((how) =>
      [`${name}: ${how}`, () => leavesNothing(command, how)] as const
    )
  );
  await together(Object.fromEntries(cases));
  assert.deepEqual(cp.violations, []);
});

Deno.test("a task can be cancelled at any time", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp, folder } = fleet;
  await using agent = await fleet.agent();

  await together({
    "for a reason longer than the control plane takes": async () => {
      const id = fleet.shell("echo begun; sleep 1000");
      await cp.waitForTask(id, ({ logs }) => logs.length > 0);
      cp.cancelTask(id, "why 😀 ".repeat(4_000));
      const { error } = (await fleet.ended(id)).completion ?? {};
      assert.match(error ?? "", /^cancelled: why 😀/);
      assert((error ?? "").length > 9_000);
      const logged = await agent.waitForLog("task finished", ({ taskId }) => taskId === id);
      assert.equal(
        String(logged.error).length,
        1_000,
        "of others' words the log has the beginning",
      );
    },
    "while it runs": async () => {
      const id = fleet.shell(BEGUN_AND_ON);
      await cp.waitForTask(id, ({ logs }) => logs.length > 0);
      const cancelledMs = Date.now();
      cp.cancelTask(id, "no longer needed");
      const task = await fleet.ended(id);
      tell(`cancelled: ended after ${ranMs(task, cancelledMs).toFixed()} ms`);
      assert(ranMs(task, cancelledMs) < PATIENCE_MS, cp.describe(id));
      assert.equal(task.status, "cancelled");
      assert.equal(task.completion?.error, "cancelled: no longer needed");
      assert.equal(task.completion?.output, "begun");
      assert.equal(cp.streamText(id, "system"), "[cancelled: no longer needed]");
    },
    "soon after its start": async () => {
      const id = fleet.shell("sleep 1000");
      await cp.waitForTask(id, ["running"]);
      cp.cancelTask(id);
      const task = await fleet.ended(id);
      tell(`cancelled soon after its start: it ran ${ranMs(task).toFixed()} ms`);
      assert(ranMs(task) < PATIENCE_MS, cp.describe(id));
    },
    "with more lines than can be delivered": async () => {
      const lines = 200_000;
      cp.fault({ path: /logs$/, when: ({ path }) => path.includes(id), latencyMs: 500 });
      const id = fleet.shell(`seq ${lines}; sleep 1000`);
      await cp.waitForTask(id, ({ logs }) => logs.length > 2);
      const cancelledMs = Date.now();
      cp.cancelTask(id);
      const task = await fleet.ended(id);
      assert.equal(task.status, "cancelled");
      tell(`cancelled with many lines: ended after ${ranMs(task, cancelledMs).toFixed()} ms`);
      assert(!fleet.lines(id).includes(`${lines}`), "lines are left behind");
      assert.match(task.completion?.error ?? "", /its last lines were not delivered$/);
    },
    "before it is started": async () => {
      const file = join(folder, "not-to-be-made");
      cp.fault({ path: "/accepted", when: ({ path }) => path.includes(id), latencyMs: 500 });
      const id = fleet.shell(`touch ${file}`);
      await cp.waitForTask(id, ["accepted"]);
      cp.cancelTask(id);
      await agent.waitForLog("task is not run", ({ taskId }) => taskId === id);
      assert.equal(cp.task(id).status, "cancelled");
      await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
      await fleet.closed(id);
    },
  });
  assert.deepEqual(cp.violations, []);
});

Deno.test("a task that the control plane has given up is ended without a word", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp } = fleet;
  await using agent = await fleet.agent();

  const isEnded = async (command: string) => {
    const id = fleet.shell(command);
    await cp.waitForTask(id, ({ logs }) => logs.length > 0);
    assert((await livingWith(id)).length > 0, "nothing runs");
    cp.failTask(id);
    await eventually("the end of the process", async () => (await livingWith(id)).length === 0);
    await fleet.closed(id);
    const ofTask = cp.requests.filter(({ taskId }) => taskId === id);
    const endedMs = cp.task(id).endedAt ?? NaN;
    // A look may have been under way.
    const told = ofTask.find(({ path, endedAt = NaN }) =>
      path.endsWith("/control") && endedAt > endedMs
    );
    const later = ofTask.filter(({ method, at }) =>
      method === "POST" && at > (told?.endedAt ?? NaN)
    );
    // Lines may have been on their way when the agent was told.
    assert(told && later.length <= 1, JSON.stringify(later));
    assert.deepEqual(later.filter(({ path }) => !path.endsWith("/logs")), []);
  };
  await together({
    "a quiet one": () => isEnded("echo begun; sleep 1000"),
    "one that prints": () => isEnded("while :; do echo line; sleep 0.1; done"),
    "one that ignores SIGTERM": () => isEnded(STUBBORN["ignores SIGTERM"]),
  });
  assert.deepEqual(cp.violations, []);
  assert.equal((await agent.stop()).code, 0);
});

Deno.test("a task that ends in time while the agent stands still has not timed out", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp } = fleet;
  await using agent = await fleet.agent();
  // On a slow machine the first limits are over before the agent is stopped.
  for (const limitMs of [1_000, ...LIMITS_MS]) {
    const limit = { timeout: `${limitMs}ms` };
    const id = fleet.shell("echo ready; sleep 0.3; echo ok", limit);
    await cp.waitForTask(id, (task) => task.logs.length > 0 || hasEnded(task));
    agent.signal("SIGSTOP");
    const { startedAt = NaN } = cp.task(id);
    const wasInTime = epochMs() < startedAt + limitMs;
    await eventually("the end of its processes", async () => (await livingWith(id)).length <= 1);
    // The limit passes as well.
    await delay(Math.max(0, startedAt + limitMs + 300 - epochMs()));
    agent.signal("SIGCONT");
    const { status, completion } = await fleet.ended(id);
    if (!wasInTime) continue;
    assert.equal(status, "success", `${completion?.error}`);
    assert.deepEqual(fleet.lines(id), ["ready", "ok"]);
    return;
  }
  throw new Error("the machine is too slow to stop an agent in time");
});
