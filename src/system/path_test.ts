import { basename, dirname, isAbsolute, join, normalize, relative, resolve } from "@std/path";
import assert from "node:assert/strict";
import fc from "fast-check";
import { posix } from "node:path";

const part = fc.constantFrom("", ".", "..", "/", "//", "a", "b.ts", "a.b", ".x", "ä", "a b");
const path = fc.array(fc.oneof(part, fc.constant("/")), { maxLength: 8 }).map((parts) =>
  parts.join("")
);

Deno.test("paths are what Node's posix functions make of them", () => {
  fc.assert(
    fc.property(path, path, path, (a, b, c) => {
      assert.equal(join(a, b, c), posix.join(a, b, c));
      assert.equal(resolve(a, b), posix.resolve(a, b));
      assert.equal(normalize(a), posix.normalize(a));
      assert.equal(isAbsolute(a), posix.isAbsolute(a));
      // Node keeps further slashes at the beginning, where nothing else is before the last part.
      const single = a.replace(/\/+/g, "/");
      assert.equal(dirname(single), posix.dirname(single));
      assert.equal(basename(a), posix.basename(a));
      assert.equal(basename(`${single}x.ts`, ".ts"), posix.basename(`${single}x.ts`, ".ts"));
      assert.equal(relative(a, b), posix.relative(a, b));
    }),
    { numRuns: 2_000 },
  );
});
