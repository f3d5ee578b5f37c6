import assert from "node:assert/strict";
import { until } from "./_test_processes.ts";
import { endTaskProcesses } from "./end_processes.ts";
import { type GatedChild, spawnGated } from "./child_host.ts";
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

/** The ids alone. */
async function find(...args: Parameters<typeof findTaskProcesses>): Promise<number[]> {
  return (await findTaskProcesses(...args)).processes.map(({ pid }) => pid);
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
    const findWith = (other: Partial<typeof group>) => find("no-such-task", { ...group, ...other });
    assert.deepEqual(await findWith({}), [group.pid]);
    assert.deepEqual(await findWith({ startTicks: String(Number(group.startTicks) + 1) }), []);
    assert.deepEqual(await findWith({ startTicks: "" }), []);
    assert.deepEqual(await findWith({ bootId: "00000000-0000-0000-0000-000000000000" }), []);
    assert.deepEqual(await findWith({ bootId: "" }), []);
    assert.deepEqual(await findWith({ pid: 2 ** 22 - 1 }), []);
  }, true));

Deno.test("the mark finds what has left the group, and only the same task's", () =>
  withChild("setsid sleep 1000 & echo; wait", async (child, taskId) => {
    await ready(child);
    await until(async () => (await find(taskId)).length === 2);
    assert.deepEqual(await find(taskId.slice(0, -1)), [], "a part of an id");
    assert.deepEqual(await find(`${taskId}0`), []);
    assert.deepEqual(await find(""), []);
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
      await until(async () => (await find("no-such-task", child.group)).length >= 2);
    });
  }
});

Deno.test("a zombie is gone, though nobody has noticed", () =>
  withChild("sleep 0 & exec sh -c 'echo; exec sleep 1000'", async (child, taskId) => {
    await ready(child);
    await until(async () => (await find(taskId, child.group)).length === 1);
  }));

Deno.test("a variable that merely mentions the mark does not make a task's process", async () => {
  const other = crypto.randomUUID();
  const script = `NOTE="${TASK_ID_VARIABLE}=${other}" exec sleep 1000`;
  await withChild(`echo; ${script}`, async (child) => {
    await ready(child);
    assert.deepEqual(await find(other), []);
  });
});

Deno.test("what an earlier look has seen stays found when its leader has left", () =>
  withChild("sleep 1000 & echo; wait", async (child) => {
    await ready(child);
    const seen = new Map<number, string>();
    const both = await find("no-such-task", child.group, seen);
    assert.equal(both.length, 2);
    Deno.kill(child.group.pid, "SIGKILL");
    await child.status;
    assert.deepEqual(await find("no-such-task", child.group), []);
    const left = both.filter((pid) => pid !== child.group.pid);
    assert.deepEqual(await find("no-such-task", child.group, seen), left);
    const [pid = 0] = left;
    const reused = new Map([[pid, "1"]]);
    assert.deepEqual(await find("no-such-task", undefined, reused), []);
    Deno.kill(pid, "SIGKILL");
  }, true));

Deno.test("the name of a process cannot pass for other processes", async () => {
  for (const name of ["x\\n1", "x\\n-1", "a\\nb", "x) S 1 1 1", "x\\n1 (y", "\\r1 (y) S"]) {
    const script = `$0 = "${name}"; $| = 1; print "named"; sleep 1000`;
    await withChild(`exec perl -e '${script}'`, async (child, taskId) => {
      await ready(child);
      assert.deepEqual(await find(taskId, child.group), [child.group.pid], name);
    });
  }
});

Deno.test("an agent that was itself started by a task never finds itself", async () => {
  const taskId = crypto.randomUUID();
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { findTaskProcesses } from ${
        JSON.stringify(import.meta.resolve("./process_table.ts"))
      };
       Deno.env.delete(${JSON.stringify(TASK_ID_VARIABLE)});
       console.log(JSON.stringify((await findTaskProcesses(${
        JSON.stringify(taskId)
      })).processes));`,
    ],
    env: { [TASK_ID_VARIABLE]: taskId },
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "[]\n", new TextDecoder().decode(stderr));
});
