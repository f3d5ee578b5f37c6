import assert from "node:assert/strict";
import { join } from "@std/path";
import { REAPER } from "../system/reaper.ts";
import { finding } from "./_test_context.ts";
import { orphanChecks } from "./orphan_check.ts";

Deno.test("orphans: who is process 1, and whether it leaves zombies", async () => {
  const folder = await Deno.makeTempDir({ prefix: "noderax-test-" });
  try {
    const add = async (pid: number, stat: string, cmdline = "x") => {
      await Deno.mkdir(join(folder, String(pid)), { recursive: true });
      await Deno.writeTextFile(join(folder, String(pid), "stat"), `${pid} ${stat} 0 0`);
      await Deno.writeTextFile(join(folder, String(pid), "cmdline"), cmdline);
    };
    const found = () => finding(orphanChecks(folder), "orphans");
    assert.equal((await found()).status, "skip");
    await add(1, "(deno) S 0");
    await Deno.writeTextFile(join(folder, "1", "comm"), "deno\n");
    assert.deepEqual(await found(), {
      status: "ok",
      found: "process 1 is deno; no orphans stay as zombies",
    });
    for (let pid = 10; pid < 20; pid++) await add(pid, `(a) Z 1 (b) ${pid < 16 ? "Z 1" : "Z 12"}`);
    const many = await found();
    assert.equal(many.status, "warn");
    assert.equal(many.found, "process 1 is deno; it leaves 6 zombies");
    await add(1, "(sh) S 0", ["/bin/sh", "-c", "…", REAPER, "deno", ""].join("\0"));
    await add(10, "(a) S 1");
    assert.match((await found()).found, /under a reaper of its own; no orphans/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
