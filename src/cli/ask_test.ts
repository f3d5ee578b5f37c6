import assert from "node:assert/strict";
import { readLines } from "./ask.ts";

Deno.test("lines are found wherever the bytes are split, the last one without an end too", async () => {
  const bytes = new TextEncoder().encode("one\r\n\nzwei ü\nlast");
  const stream = ReadableStream.from(Array.from(bytes, (byte) => Uint8Array.of(byte)));
  assert.deepEqual(await Array.fromAsync(readLines(stream)), ["one", "", "zwei ü", "last"]);
});
