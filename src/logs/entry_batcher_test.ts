import assert from "node:assert/strict";
import type { LogStream } from "../control_plane/schemas.ts";
import { MAX_ENTRY_CODE_POINTS } from "./line_decoder.ts";
import { EntryBatcher } from "./entry_batcher.ts";

/** Adds texts in turn, with each stream's positions and 1, 2, 3 … as times. */
function windowOf(...texts: [LogStream, string][]): EntryBatcher {
  const window = new EntryBatcher();
  const ends = { stdout: 0, stderr: 0, system: 0 };
  texts.forEach(([stream, text], index) => {
    ends[stream] += text.length;
    window.add({ stream, text, atMs: index + 1, end: ends[stream] });
  });
  return window;
}

Deno.test("lines are taken one by one in order of arrival, or an entry of one stream", () => {
  const texts: [LogStream, string][] = [["stdout", "a\nb\n"], ["stderr", "E\n"], ["stdout", "c\n"]];
  const rows = windowOf(...texts);
  const expected = [["stdout", "a", 1, 2], ["stdout", "b", 1, 4], ["stderr", "E", 2, 2], [
    "stdout",
    "c",
    3,
    6,
  ]] as const;
  for (const [stream, text, atMs, end] of expected) {
    assert.deepEqual(rows.takeLine(), { stream, text, atMs, end, leftOut: 0 });
  }
  assert(rows.empty);
  assert.equal(rows.takeLine(), undefined);
  assert.equal(rows.take(), undefined);

  const packed = windowOf(...texts);
  const first = { stream: "stdout", text: "a\nb\nc", atMs: 1, end: 6, leftOut: 0 };
  assert.deepEqual(packed.take(), first);
  assert.deepEqual(packed.take(), { stream: "stderr", text: "E", atMs: 2, end: 2, leftOut: 0 });
  assert(packed.empty);
});

Deno.test("a full stream may go before an older line of another", () => {
  const window = windowOf(["stderr", "E\n"], ["stdout", "x".repeat(4_999) + "\n"]);
  assert.equal(window.fullStream, undefined);
  window.add({ stream: "stdout", text: "\n", atMs: 3, end: 5_001 });
  assert.equal(window.fullStream, "stdout", "5000 code points with the newline between");
  assert.equal(window.take("stdout")?.text, "x".repeat(4_999) + "\n");
  assert.equal(window.fullStream, undefined);
  assert.equal(window.take()?.text, "E");
});

Deno.test("a batch is shared out among entries, and each says how far its stream has come", () => {
  const window = windowOf(["stdout", "x".repeat(2_999) + "\n" + "y".repeat(1_999) + "\nz\n"]);
  const full = "x".repeat(2_999) + "\n" + "y".repeat(1_999);
  assert.deepEqual(window.take(), {
    stream: "stdout",
    text: full,
    atMs: 1,
    end: 5_000,
    leftOut: 0,
  });
  assert.deepEqual(window.take(), {
    stream: "stdout",
    text: "z",
    atMs: 1,
    end: 5_002,
    leftOut: 0,
  });
});

Deno.test("5000 code points always fit, however many units they take", () => {
  const emoji = "😀".repeat(MAX_ENTRY_CODE_POINTS);
  const window = windowOf(["stdout", `${emoji}\n`], ["stdout", `${emoji}\nlast\n`]);
  assert.equal(window.take()?.text, emoji);
  assert.equal(window.take()?.text, emoji);
  assert.equal(window.take()?.text, "last");
});

Deno.test("blank lines are lines", () => {
  assert.equal(windowOf(["stdout", "\n"]).take()?.text, "");
  assert.equal(windowOf(["stdout", "\n\n"]).take()?.text, "\n");
  assert.equal(windowOf(["stdout", "\n"], ["stdout", "a\n\n"]).take()?.text, "\na\n");
  const brim = windowOf(["stdout", "x".repeat(4_999) + "\n"], ["stdout", "\na\n"]);
  assert.equal(brim.take()?.text, "x".repeat(4_999) + "\n");
  assert.equal(brim.take()?.text, "a");
});

Deno.test("a note that stands at an older place does not take its stream back, and is counted", () => {
  const window = new EntryBatcher();
  window.add({ stream: "system", text: "said\n", atMs: 1, end: 100 });
  window.add({ stream: "system", text: "left out\n", atMs: 2, end: 50, leftOut: 7 });
  assert.deepEqual(window.take(), {
    stream: "system",
    text: "said\nleft out",
    atMs: 1,
    end: 100,
    leftOut: 7,
  });
});
