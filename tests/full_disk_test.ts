import assert from "node:assert/strict";
import { Fleet } from "./_agent.ts";
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
    assert.equal(agent.logged("state folder cannot be written, tasks go on in memory").length, 1);
    assert.deepEqual(agent.events.filter(({ level }) => level === "error"), []);
    assert.deepEqual(cp.violations, []);
    assert.equal((await agent.stop()).code, 0);
  },
});
