import assert from "node:assert/strict";
import { join } from "@std/path";
import { pageKey } from "./_page_key.ts";

Deno.test("all that start at once have one key, which is kept", async () => {
  const folder = await Deno.makeTempDir({ prefix: "page_key_" });
  try {
    const at = join(folder, "new");
    const [key = "", ...others] = await Promise.all(Array.from({ length: 8 }, () => pageKey(at)));
    assert.match(key, /^[0-9a-f]{32}$/);
    assert.deepEqual(new Set(others), new Set([key]));
    assert.equal(await pageKey(at), key);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(at), ({ name }) => name), ["page_key"]);
    await Deno.writeTextFile(join(at, "page_key"), "no key");
    const next = await pageKey(at);
    assert.match(next, /^[0-9a-f]{32}$/);
    assert.equal(await pageKey(at), next);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
