import { join } from "@std/path";
import assert from "node:assert/strict";
import { layOut, PACKAGED_UNIT } from "./_package.ts";
import { targetOf } from "./_target.ts";

Deno.test("the unit of a package binds no task that is a child of the agent, whatever is configured", async () => {
  const root = await Deno.makeTempDir({ prefix: "nodt-" });
  try {
    const folder = join(root, "tree");
    await Deno.mkdir(folder);
    const revision = { commit: "0".repeat(40), date: "2026-01-01T00:00:00Z" };
    const target = targetOf("amd64");
    const tree = { folder, scratch: root, name: "release", revision, target };
    for (const kind of ["deb", "rpm"] as const) {
      const laidOut = join(root, kind);
      await layOut(laidOut, kind, { tree, outputFolder: root });
      const unit = await Deno.readTextFile(join(laidOut, PACKAGED_UNIT));
      assert.match(unit, /^SystemCallFilter=~@obsolete$/m, kind);
      assert.doesNotMatch(unit, /^(ProtectSystem|NoNewPrivileges|CapabilityBoundingSet)=/m, kind);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
