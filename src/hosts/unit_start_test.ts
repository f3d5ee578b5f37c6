import assert from "node:assert/strict";
import { prepareUnit } from "./unit_start.ts";

/** The longest path of the kernel's, and what its last part may have. */
const [MAX_PATH, MAX_NAME] = [4_095, 255];

Deno.test("a unit that cannot be prepared leaves no folder", async () => {
  const top = await Deno.makeTempDir({ prefix: "unit_start_" });
  try {
    // It is not too long for the folder, but for what belongs into it.
    let folder = top;
    while (folder.length < MAX_PATH - 2) {
      const room = MAX_PATH - 3 - folder.length;
      folder += `/${"d".repeat(Math.max(1, Math.min(MAX_NAME - 1, room)))}`;
    }
    assert.throws(() => prepareUnit(folder, 0, ""), /too long/);
    assert.throws(() => Deno.lstatSync(folder), Deno.errors.NotFound);
  } finally {
    await Deno.remove(top, { recursive: true });
  }
});
