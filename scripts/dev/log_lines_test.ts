import assert from "node:assert/strict";
import { parseAnsi, PLAIN } from "./page/ansi.ts";
import { LogLines } from "./page/log_lines.ts";

const seen = (raw: string) => parseAnsi(raw, PLAIN).spans.map(({ text }) => text).join("");
const styles = (raw: string) =>
  parseAnsi(raw, PLAIN).spans.map(({ text, style: { fg, bg, marks } }) =>
    [text, fg, bg, marks].filter((it) => it).join(" ")
  );

Deno.test("escapes become styles: the 16 colours, the 256, all others, and marks", () => {
  assert.deepEqual(styles("a\x1b[31mb\x1b[1mc\x1b[22;39md"), ["a", "b 1", "c 1 bold", "d"]);
  assert.deepEqual(styles("\x1b[92;44mx\x1b[0my\x1b[4m\x1b[9mz"), [
    "x 10 4",
    "y",
    "z underline strike",
  ]);
  assert.deepEqual(styles("\x1b[38;5;9ma\x1b[38;5;196mb\x1b[38;5;240mc"), [
    "a 9",
    "b rgb(255 0 0)",
    "c rgb(88 88 88)",
  ]);
  assert.deepEqual(styles("\x1b[48;2;1;2;3ma\x1b[m b"), ["a rgb(1 2 3)", " b"]);
});

Deno.test("what is written over is gone, and what is no text is not shown", () => {
  assert.equal(seen("10%\r20%\r100%"), "100%");
  assert.equal(seen("long line\rshort"), "shortline");
  assert.equal(seen("long line\r\x1b[Kshort"), "short");
  assert.equal(seen("abc\b\bX"), "aXc");
  assert.equal(seen("a\x1b[5Gb"), "a   b");
  assert.equal(seen("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\x1b[?25lc\x07"), "abc");
});

Deno.test("a style goes on in the next line of its stream only", () => {
  const lines = new LogLines();
  lines.add([["stdout", "\x1b[31mred", 1], ["stderr", "plain", 2], ["stdout", "still\x1b[0m", 3]]);
  assert.deepEqual(lines.spans(1).map(({ style }) => style.fg), [""]);
  assert.deepEqual(lines.spans(2).map(({ style }) => style.fg), ["1"]);
});

Deno.test("progress in several entries is one line that moves", () => {
  const lines = new LogLines();
  assert.equal(lines.add([["stdout", "start\n10%\r", 1]]), 0);
  assert.equal(lines.add([["stdout", "\r20%", 2], ["stdout", "\r30%", 3]]), 1);
  assert.equal(lines.add([["stderr", "\rother", 4]]), 2);
  assert.deepEqual(lines.all.map(({ text }) => text), ["start", "30%", "other"]);
  assert.deepEqual(lines.find("STAR"), [0]);
});
