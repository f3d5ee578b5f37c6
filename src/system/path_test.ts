import { basename, dirname, isAbsolute, join, normalize, relative, resolve } from "@std/path";
import assert from "node:assert/strict";
import fc from "fast-check";
import { posix } from "node:path";

const part = fc.constantFrom("", ".", "..", "/", "//", "a", "b.ts", "a.b", ".x", "ä", "a b");
const path = fc.array(fc.oneof(part, fc.constant("/")), { maxLength: 8 }).map((parts) =>
  parts.join("")
);

const suffix = fc.constantFrom("", ".ts", "b.ts", ".b", "a", ".", ".x", "long.ts");

Deno.test("paths are what Node's posix functions make of them", () => {
  fc.assert(
    fc.property(path, path, path, suffix, (a, b, c, end) => {
      assert.equal(join(a, b, c), posix.join(a, b, c));
      assert.equal(resolve(a, b), posix.resolve(a, b));
      assert.equal(normalize(a), posix.normalize(a));
      assert.equal(isAbsolute(a), posix.isAbsolute(a));
      assert.equal(dirname(a), posix.dirname(a));
      assert.equal(basename(a), posix.basename(a));
      assert.equal(basename(`${a}x.ts`, ".ts"), posix.basename(`${a}x.ts`, ".ts"));
      // Node gives slashes alone back where a suffix is named that is no longer than they are.
      if (!/^\/+$/.test(a)) assert.equal(basename(a, end), posix.basename(a, end));
      assert.equal(relative(a, b), posix.relative(a, b));
    }),
    { numRuns: 2_000 },
  );
});
