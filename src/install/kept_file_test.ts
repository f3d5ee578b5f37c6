import assert from "node:assert/strict";
import { join } from "@std/path";
import { keepFile } from "./kept_file.ts";
import { Undos } from "./steps.ts";

const isRoot = Deno.uid() === 0;
const modeOf = async (path: string) => ((await Deno.stat(path)).mode ?? 0) & 0o7777;

Deno.test("a file behind a link gets its own mode back, and the link stays one", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kept_" });
  try {
    const [file, link] = [join(folder, "file"), join(folder, "link")];
    await Deno.writeTextFile(file, "secret", { mode: 0o600 });
    await Deno.symlink("file", link);
    for (const replaced of [false, true]) {
      const undos = new Undos();
      await keepFile(undos, link);
      if (replaced) await Deno.remove(link);
      await Deno.writeTextFile(link, "changed");
      await Deno.chmod(link, 0o640);
      await undos.undo(() => {});
      assert.equal(await Deno.readLink(link), "file");
      assert.equal(await Deno.readTextFile(file), "secret");
      assert.equal(await modeOf(file), 0o600);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name: "a file behind a link gets its own owner back (root only: it gives files away)",
  ignore: !isRoot,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "kept_" });
    try {
      const [file, link] = [join(folder, "file"), join(folder, "link")];
      await Deno.writeTextFile(file, "secret", { mode: 0o640 });
      await Deno.chown(file, 12, 34);
      await Deno.symlink("file", link);
      const undos = new Undos();
      await keepFile(undos, link);
      await Deno.chown(link, 0, 0);
      await undos.undo(() => {});
      const { uid, gid } = await Deno.stat(file);
      assert.deepEqual([uid, gid, await modeOf(file)], [12, 34, 0o640]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
