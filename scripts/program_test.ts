import { join } from "@std/path";
import assert from "node:assert/strict";
import { requireLate } from "./_program.ts";

const PRELUDE = `import { createRequire as __deno_internal_createRequire } from "node:module";
var __require = __deno_internal_createRequire(import.meta.url);
`;

Deno.test("no file of a bundle loads Node's loader before something is required", async () => {
  const folder = await Deno.makeTempDir({ prefix: "nodt-" });
  try {
    await assert.rejects(requireLate(folder), /no require\(\)/);
    const files = ["agent.js", "chunk-1.js", "chunk-2.js"].map((name) => join(folder, name));
    for (const file of files) await Deno.writeTextFile(file, `${PRELUDE}__require("node:fs");\n`);
    await requireLate(folder);
    for (const file of files) {
      const code = await Deno.readTextFile(file);
      assert.doesNotMatch(code, /^import /m);
      assert.match(code, /__require\("node:fs"\)/);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
