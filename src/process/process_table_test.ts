import assert from "node:assert/strict";
import { until } from "./_test_processes.ts";
import { endTaskProcesses } from "./end_processes.ts";
import { type GatedChild, spawnGated } from "./gated_child.ts";
import { findTaskProcesses, TASK_ID_VARIABLE } from "./process_table.ts";

/** Starts a shell script whose leader has no mark in its environment, if it is to be `unmarked`. */
async function withChild(
  script: string,
  test: (child: GatedChild, taskId: string) => Promise<void>,
  unmarked = false,
): Promise<void> {
  const taskId = crypto.randomUUID();
  const shell = ["/bin/sh", "-c", script];
  const argv = unmarked ? ["env", "-i", "PATH=/usr/bin:/bin", ...shell] : shell;
  const child = await spawnGated({ taskId, argv });
  try {
    await child.open();
    await test(child, taskId);
  } finally {
    await endTaskProcesses(taskId, child.group, 0);
    await Promise.all([child.stdout.cancel(), child.stderr.cancel(), child.status]);
  }
}

/** Resolves when the script has said something. */
async function ready(child: GatedChild): Promise<void> {
  const reader = child.stdout.getReader();
  await reader.read();
  reader.releaseLock();
}

Deno.test("a group is found only if its leader's start time and the boot are the recorded ones", () =>
  withChild("echo; exec sleep 1000", async (child) => {
    await ready(child);
    const { group } = child;
    // Another task's id: neither leader has that mark, so the group alone decides.
    const find = (other: Partial<typeof group>) =>
      findTaskProcesses("no-such-task", { ...group, ...other });
    assert.deepEqual(await find({}), [group.pid]);
    assert.deepEqual(await find({ startTicks: String(Number(group.startTicks) + 1) }), []);
    assert.deepEqual(await find({ startTicks: "" }), []);
    assert.deepEqual(await find({ bootId: "00000000-0000-0000-0000-000000000000" }), []);
    assert.deepEqual(await find({ bootId: "" }), []);
    assert.deepEqual(await find({ pid: 2 ** 22 - 1 }), []);
  }, true));

Deno.test("the mark finds what has left the group, and only the same task's", () =>
  withChild("setsid sleep 1000 & echo; wait", async (child, taskId) => {
    await ready(child);
    await until(async () => (await findTaskProcesses(taskId)).length === 2);
    assert.deepEqual(await findTaskProcesses(taskId.slice(0, -1)), [], "a part of an id");
    assert.deepEqual(await findTaskProcesses(`${taskId}0`), []);
    assert.deepEqual(await findTaskProcesses(""), []);
  }));

Deno.test("without the mark, session and descent tell", async () => {
  const bare = "env -i PATH=/usr/bin:/bin";
  // A job of its own group whose parent has left, then one that leads even a session.
  for (
    const script of [
      "set -m; (sleep 1000 & ); echo; exec sleep 1000",
      `${bare} setsid -w sleep 1000 & echo; wait`,
    ]
  ) {
    await withChild(`exec ${bare} /bin/bash -c '${script}'`, async (child) => {
      await ready(child);
      const find = () => findTaskProcesses("no-such-task", child.group);
      await until(async () => (await find()).length >= 2);
    });
  }
});

Deno.test("a zombie is gone, though nobody has noticed", () =>
  withChild("sleep 0 & exec sh -c 'echo; exec sleep 1000'", async (child, taskId) => {
    await ready(child);
    await until(async () => (await findTaskProcesses(taskId, child.group)).length === 1);
  }));

Deno.test("a variable that merely mentions the mark does not make a task's process", async () => {
  const other = crypto.randomUUID();
  const script = `NOTE="${TASK_ID_VARIABLE}=${other}" exec sleep 1000`;
  await withChild(`echo; ${script}`, async (child) => {
    await ready(child);
    assert.deepEqual(await findTaskProcesses(other), []);
  });
});

Deno.test("what an earlier look has seen stays found when its leader has left", () =>
  withChild("sleep 1000 & echo; wait", async (child) => {
    await ready(child);
    const seen = new Map<number, string>();
    const both = await findTaskProcesses("no-such-task", child.group, seen);
    assert.equal(both.length, 2);
    Deno.kill(child.group.pid, "SIGKILL");
    await child.status;
    assert.deepEqual(await findTaskProcesses("no-such-task", child.group), []);
    const left = both.filter((pid) => pid !== child.group.pid);
    assert.deepEqual(await findTaskProcesses("no-such-task", child.group, seen), left);
    const [pid = 0] = left;
    const reused = new Map([[pid, "1"]]);
    assert.deepEqual(await findTaskProcesses("no-such-task", undefined, reused), []);
    Deno.kill(pid, "SIGKILL");
  }, true));

Deno.test("an agent that was itself started by a task never finds itself", async () => {
  const taskId = crypto.randomUUID();
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { findTaskProcesses } from ${
        JSON.stringify(import.meta.resolve("./process_table.ts"))
      };
       Deno.env.delete(${JSON.stringify(TASK_ID_VARIABLE)});
       console.log(JSON.stringify(await findTaskProcesses(${JSON.stringify(taskId)})));`,
    ],
    env: { [TASK_ID_VARIABLE]: taskId },
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "[]\n", new TextDecoder().decode(stderr));
});
