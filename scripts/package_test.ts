import { join } from "@std/path";
import assert from "node:assert/strict";
import { layOut, PACKAGED_LOCK_DOWN, PACKAGED_UNIT } from "./_package.ts";
import { targetOf } from "./_target.ts";

Deno.test("the unit of a package is locked down by a drop-in, which can be taken away where tasks are children", async () => {
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
      const dropIn = await Deno.readTextFile(join(laidOut, PACKAGED_LOCK_DOWN));
      assert.match(dropIn, /^\[Service\]\n(#.*\n)*SystemCallFilter=\n/, kind);
      assert.match(dropIn, /^NoNewPrivileges=yes$/m, kind);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
