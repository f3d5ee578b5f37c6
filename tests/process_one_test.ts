import assert from "node:assert/strict";
import { AgentProcess, Fleet } from "./_agent.ts";
import { examine } from "./_doctor.ts";
import { eventually, outputOf as textFrom } from "./_processes.ts";
import { outputOf } from "./_shell.ts";

/** A container as far as its processes go: the agent is process 1 of it. */
const CONTAINER = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];
const ORPHANS = "for i in 1 2 3; do (setsid sleep 0.0$i &); done; echo left";

interface Process {
  pid: number;
  parent: number;
}

/** All processes, zombies too, by the numbers outside of the container. */
async function processes(): Promise<Process[]> {
  const listed = await textFrom("ps", "-eo", "pid=,ppid=");
  return listed.trim().split("\n").map((line) => {
    const [pid, parent] = line.trim().split(/\s+/);
    return { pid: Number(pid), parent: Number(parent) };
  });
}

Deno.test({
  name: "as process 1 of a container the agent leaves no zombies, and doctor knows its reaper" +
    (Deno.uid() === 0 ? "" : " (ignored: only root may make a namespace of processes)"),
  ignore: Deno.uid() !== 0,
  fn: async () => {
    await using fleet = await Fleet.start({ max_tasks: 20, task_poll_interval: "200ms" });
    await using agent = new AgentProcess(fleet.configFile, { through: CONTAINER });
    const { pid } = await agent.waitForLog("agent started");
    assert.notEqual(pid, 1, "the reaper is process 1");
    const [first] = (await processes()).filter(({ parent }) => parent === agent.pid);
    assert(first, "there is no process 1");

    const tasks = Array.from({ length: 20 }, () => fleet.shell(ORPHANS));
    for (const task of tasks) {
      assert.equal((await fleet.ended(task)).status, "success");
      assert.deepEqual(fleet.lines(task), ["left"]);
    }
    await eventually("a container without orphans", async () => {
      const children = (await processes()).filter(({ parent }) => parent === first.pid);
      return children.length === 1;
    });
    // What a shell does to a process that it starts in the background reaches no task.
    assert.equal(await outputOf(fleet, "trap 'echo quit' QUIT; kill -QUIT $$"), "quit");
    assert.equal(await outputOf(fleet, "trap 'echo int' INT; kill -INT $$"), "int");

    const through = ["nsenter", "--target", String(first.pid), "--pid", "--mount", "--wd", "--"];
    const found = (await examine(fleet.configFile, { through })).of("orphans");
    assert.match(found, /^ok.*under a reaper of its own/);

    Deno.kill(first.pid, "SIGTERM");
    assert.equal((await agent.ended()).code, 0);
    await agent.waitForLog("agent stopped");
  },
});
