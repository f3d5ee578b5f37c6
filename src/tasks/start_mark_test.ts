import assert from "node:assert/strict";
import type { OutputChunk } from "../hosts/host.ts";
import { startLine, StartMark } from "./start_mark.ts";

/** What is left of standard error that comes in these pieces, and whether the command has begun. */
async function strip(...pieces: string[]): Promise<[text: string, hasBegun: boolean]> {
  const mark = new StartMark("noderax-agent: begun");
  async function* output(): AsyncGenerator<OutputChunk> {
    for (const piece of pieces) {
      yield { stream: "stderr", bytes: new TextEncoder().encode(piece) };
    }
  }
  let text = "";
  for await (const { bytes } of mark.of(output())) text += new TextDecoder().decode(bytes);
  return [text, mark.hasBegun];
}

Deno.test("the line is taken out of either stream, and what is held of the other follows", async () => {
  const mark = new StartMark("noderax-agent: begun");
  async function* output(): AsyncGenerator<OutputChunk> {
    const pieces = [["stderr", "a n"], ["stdout", "b noderax-agent: begun\nc n"], ["stderr", "d"]];
    for (const [stream, text] of pieces as ["stdout" | "stderr", string][]) {
      yield { stream, bytes: new TextEncoder().encode(text) };
    }
  }
  const printed = { stdout: "", stderr: "" };
  for await (const { stream, bytes } of mark.of(output())) {
    printed[stream] += new TextDecoder().decode(bytes);
  }
  assert.deepEqual(printed, { stdout: "b c n", stderr: "a nd" });
  assert(mark.hasBegun);
});

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

Deno.test("what is kept already is passed on as it is", async () => {
  const mark = new StartMark(startLine("t-1"));
  async function* output(): AsyncGenerator<OutputChunk> {
    for (const piece of ["profile\nnoderax-agent: beg", "un t-1\na", "noderax-agent"]) {
      yield { stream: "stderr", bytes: new TextEncoder().encode(piece), isKept: true };
    }
  }
  let text = "";
  for await (const { bytes } of mark.of(output())) text += new TextDecoder().decode(bytes);
  assert.equal(text, "profile\nnoderax-agent: begun t-1\nanoderax-agent");
  assert(mark.hasBegun);
});
