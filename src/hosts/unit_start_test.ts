import assert from "node:assert/strict";
import { openLibc } from "../system/libc.ts";
import { FakeSystemd } from "./_test_fake_systemd.ts";
import { prepareUnit, startUnit } from "./unit_start.ts";

const GET_FLAGS = 1;

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

Deno.test("what a unit reads is still open when its gate is closed while it is started", async () => {
  const folder = await Deno.makeTempDir({ prefix: "unit_start_" });
  using libc = openLibc();
  try {
    const gate = prepareUnit(folder, 0, "");
    const systemd = new FakeSystemd();
    systemd.there.add("a unit");
    // One of an earlier agent is in its place; meanwhile the task is cancelled.
    systemd.onStop = () => gate[Symbol.dispose]();
    systemd.onStart = () => {
      const given = new Map(systemd.properties).get("StandardInputFileDescriptor");
      assert.ok(libc.symbols.fcntl(Number(given?.value), GET_FLAGS, 0) >= 0, "it is closed");
    };
    const isLate = () => Promise.resolve(false);
    await startUnit(systemd, { unit: "a unit", folder, gate, properties: () => [], isLate });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
