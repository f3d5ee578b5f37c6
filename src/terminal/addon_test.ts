import assert from "node:assert/strict";
import { join } from "@std/path";
import { Logger } from "../system/logger.ts";
import { loadAddonWithin } from "./addon.ts";

/** Loads an addon that notes the temp folder it finds. */
async function load(given: Record<string, string>, compiled = true, error?: Error) {
  const folder = await Deno.makeTempDir({ prefix: "addon_" });
  const variables = new Map(Object.entries(given));
  const lines: string[] = [];
  const seen: (string | undefined)[] = [];
  try {
    const own = join(folder, "state", "tmp");
    await loadAddonWithin(own, new Logger({ write: (line) => lines.push(line) }), {
      compiled,
      environment: {
        get: (name) => variables.get(name),
        set: (name, value) => void variables.set(name, value),
        delete: (name) => void variables.delete(name),
      },
      load: async () => {
        const { mode } = await Deno.stat(own);
        assert.equal((mode ?? 0) & 0o777, 0o700);
        seen.push(variables.get("TMPDIR"));
        if (error) throw error;
      },
    });
    return { own, seen, lines, left: Object.fromEntries(variables) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the addon finds the agent's own temp folder, and nothing after it does", async () => {
  const { own, seen, lines, left } = await load({});
  assert.deepEqual(seen, [own]);
  assert.deepEqual(left, {});
  assert.deepEqual(lines, []);
});

Deno.test("an addon that cannot be loaded is warned of", async () => {
  const { lines, left } = await load({}, true, new Error("noexec"));
  assert.deepEqual(left, {});
  assert.match(lines.join(), /"warn".*terminals may not work.*noexec/);
});

Deno.test("everybody's temp folder stays, and what is not compiled loads nothing early", async () => {
  const shared = await load({ TMPDIR: "/elsewhere" });
  assert.deepEqual(shared.seen, []);
  assert.deepEqual(shared.left, { TMPDIR: "/elsewhere" });
  assert.deepEqual((await load({}, false)).seen, []);
});
