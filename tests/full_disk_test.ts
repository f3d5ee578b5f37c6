import assert from "node:assert/strict";
import { join } from "@std/path";
import { Fleet } from "./_agent.ts";

async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  const options = { args, stdout: "null", stderr: "null" } as const;
  return (await new Deno.Command(program, options).output()).success;
}

/** Whether a small file system can be mounted here: for root, outside of most containers. */
async function mayMount(): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  try {
    if (!await succeeds("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)) return false;
    return await succeeds("umount", folder);
  } finally {
    await Deno.remove(folder);
  }
}

Deno.test({
  name: "on a full disk tasks go on, after one warning (needs the right to mount)",
  ignore: !await mayMount(),
  fn: async () => {
    await using fleet = await Fleet.start();
    const { controlPlane: cp, stateFolder } = fleet;
    await Deno.mkdir(stateFolder);
    assert(await succeeds("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", stateFolder));
    try {
      await using agent = await fleet.agent();
      assert.equal((await fleet.ended(fleet.shell("true"))).status, "success");
      await Deno.writeFile(join(stateFolder, "ballast"), new Uint8Array(1024 * 1024)).catch(
        () => {},
      );

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
    } finally {
      await succeeds("umount", stateFolder);
    }
  },
});
