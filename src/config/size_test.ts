import assert from "node:assert/strict";
import { formatSize, parseSize } from "./size.ts";

Deno.test("a size has its unit, decimal or binary", () => {
  for (
    const [text, bytes] of [
      ["64MiB", 64 * 2 ** 20],
      ["64 mib", 64 * 2 ** 20],
      ["1.5GB", 1.5e9],
      ["1kB", 1_000],
      ["0B", 0],
      ["64", undefined],
      ["64M", undefined],
      ["MiB", undefined],
      ["-1MiB", undefined],
      ["1ib", undefined],
      ["", undefined],
    ] as const
  ) assert.equal(parseSize(text), bytes, text);
});

Deno.test("a size is written as it is read", () => {
  assert.equal(formatSize(64 * 2 ** 20), "64MiB");
  assert.equal(formatSize(1_500), "1500B");
  assert.equal(formatSize(3 * 2 ** 30), "3GiB");
  for (const bytes of [0, 1, 1_024, 1_025, 123_456_789, 2 ** 40]) {
    assert.equal(parseSize(formatSize(bytes)), bytes);
  }
});
