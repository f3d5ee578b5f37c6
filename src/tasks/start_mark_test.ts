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

/** Pieces of an output: one that is kept begins with "+". */
async function* mixed(pieces: string[]): AsyncGenerator<OutputChunk> {
  for (const piece of pieces) {
    const bytes = new TextEncoder().encode(piece.replace("+", ""));
    yield { stream: "stderr", bytes, ...piece.startsWith("+") ? { isKept: true } : {} };
  }
}

Deno.test("what is kept and what is not may mix: nothing comes twice, and nothing is lost", async () => {
  const line = "noderax-agent: begun t-1\n";
  const cases: [pieces: string[], text: string, hasBegun: boolean][] = [
    [["a n", "+oder", "b"], "a noderb", false],
    [["+a noder", "b"], "a noderb", false],
    [["+a noder", "ax-b"], "a noderax-b", false],
    [["noderax-", `+agent: begun t-1\na`], `${line}a`, true],
    [["+noderax-", "agent: begun t-1\na"], `${line}a`, true],
    [["+noderax-", "agent: ", "begun t-1\na"], `${line}a`, true],
    [["+a", line, "b n", "+c"], "ab nc", true],
    [["+n", "n"], "nn", false],
  ];
  for (const [pieces, expected, hasBegun] of cases) {
    const mark = new StartMark(startLine("t-1"));
    let text = "";
    for await (const { bytes } of mark.of(mixed(pieces))) text += new TextDecoder().decode(bytes);
    assert.deepEqual([text, mark.hasBegun], [expected, hasBegun], pieces.join("|"));
  }
});
