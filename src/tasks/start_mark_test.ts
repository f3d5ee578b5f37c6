import assert from "node:assert/strict";
import type { OutputChunk } from "../hosts/host.ts";
import { StartMark } from "./start_mark.ts";

/** What is left of standard error that comes in these pieces, and whether the command has begun. */
async function strip(...pieces: string[]): Promise<[text: string, hasBegun: boolean]> {
  const mark = new StartMark();
  async function* output(): AsyncGenerator<OutputChunk> {
    for (const piece of pieces) {
      yield { stream: "stderr", bytes: new TextEncoder().encode(piece) };
    }
  }
  let text = "";
  for await (const { bytes } of mark.of(output())) text += new TextDecoder().decode(bytes);
  return [text, mark.hasBegun];
}

Deno.test("the line that a command begins with is taken out, however it comes", async () => {
  const line = "noderax-agent: begun\n";
  assert.deepEqual(await strip(line), ["", true]);
  assert.deepEqual(await strip(...line), ["", true]);
  assert.deepEqual(await strip("prof", `ile\n${line}a`, "b"), ["profile\nab", true]);
  assert.deepEqual(await strip("noderax-agent: no", `der${line}`), ["noderax-agent: noder", true]);
  assert.deepEqual(await strip(line, line), [line, true]);
  assert.deepEqual(await strip("noderax-agent: be"), ["noderax-agent: be", false]);
  assert.deepEqual(await strip(), ["", false]);
});
