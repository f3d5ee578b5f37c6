import assert from "node:assert/strict";
import { join } from "@std/path";
import { Fleet } from "./_agent.ts";
import { eventually, textOf } from "./_processes.ts";
import { mayMount, SmallDisk } from "./_small_disk.ts";

Deno.test({
  name: "on a full disk tasks go on, after one warning (needs the right to mount)",
  ignore: !await mayMount(),
  fn: async () => {
    await using fleet = await Fleet.start();
    const { controlPlane: cp, stateFolder } = fleet;
    await using disk = await SmallDisk.mount(stateFolder);
    await using agent = await fleet.agent();
    assert.equal((await fleet.ended(fleet.shell("true"))).status, "success");
    await disk.fill();

    const ids = [1, 2, 3].map(() => fleet.shell("seq 50000; sleep 1; seq 10"));
    const expected = [50_000, 10].flatMap((n) => Array.from({ length: n }, (_, i) => i + 1));
    for (const id of ids) {
      const { status } = await fleet.ended(id);
      assert.equal(status, "success");
      assert.equal(cp.streamText(id, "stdout"), expected.join("\n"));
    }
    assert.deepEqual(cp.violations, []);
    assert.equal((await agent.stop()).code, 0);
    assert.equal(agent.logged("state folder cannot be written, tasks go on in memory").length, 1);
    assert.deepEqual(agent.events.filter(({ level }) => level === "error"), []);
  },
});

Deno.test({
  name: "what a full disk has refused is written once there is room: a kill -9 loses no end " +
    "(needs the right to mount)",
  ignore: !await mayMount(),
  fn: async () => {
    await using fleet = await Fleet.start();
    const { controlPlane: cp, stateFolder, tasksFolder } = fleet;
    await using disk = await SmallDisk.mount(stateFolder);
    const completion = cp.fault({
      path: "/completed",
      when: ({ path }) => path.includes(isReported),
      hang: true,
    });
    await using agent = await fleet.agent();
    await disk.fill();
    const runs = fleet.shell("echo ready; sleep 1000");
    const [isReported, hasEnded] = [fleet.shell("true"), fleet.shell("true")];
    await fleet.ended(hasEnded);
    await cp.waitFor(() => completion.hits > 0 && fleet.lines(runs).includes("ready"), {
      what: "tasks on a full disk",
    });
    assert.equal(await textOf(join(tasksFolder, `${runs}.json`)), "");
    await disk.free();
    for (
      const [name, what] of [
        [`${runs}.json`, '"process":'],
        [`${isReported}.json`, '"outcome":'],
        ["ended.jsonl", hasEnded],
      ] as const
    ) {
      const holds = async () => (await textOf(join(tasksFolder, name))).includes(what);
      await eventually(`${what} in ${name}`, holds);
    }
    await agent.kill();
    completion.remove();
    await using _next = await fleet.agent();
    assert.equal((await fleet.ended(isReported)).completion?.status, "success");
    const { completion: end } = await fleet.ended(runs);
    assert.match(end?.error ?? "", /the agent was restarted while the task ran/);
    assert.deepEqual(cp.violations, []);
  },
});
