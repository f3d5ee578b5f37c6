import assert from "node:assert/strict";
import { LineDecoder } from "./line_decoder.ts";

/** What is shown of pieces; `null` stands for the time at which an unfinished line is shown. */
function shown(...pieces: (string | null)[]): string {
  const decoder = new LineDecoder(undefined, true);
  const encoder = new TextEncoder();
  return pieces.map((piece) =>
    piece === null ? decoder.show() : decoder.push(encoder.encode(piece))
  )
    .join("") + decoder.end();
}

Deno.test("of a line that is written over the newest state counts, however it comes", () => {
  const text = "a\r\n1%\r2%\r3%\nb\n\rc\r\nd\r\r\ne\rf";
  const expected = "a\n3%\nb\nc\nd\nf\n";
  assert.equal(shown(text), expected);
  for (let i = 0; i <= text.length; i++) {
    for (let j = i; j <= text.length; j++) {
      assert.equal(shown(text.slice(0, i), text.slice(i, j), text.slice(j)), expected, `${i} ${j}`);
    }
  }
});

Deno.test("what is shown before its end is not shown again, and nothing of it is lost", () => {
  assert.equal(shown("Go on? ", null, "yes\n"), "Go on? \nyes\n");
  assert.equal(shown("Go on? ", null, "\n", "next\n"), "Go on? \nnext\n");
  assert.equal(shown("a", null, null, "a", null, "a\n"), "a\na\na\n");
  assert.equal(shown("1%\r", null, "2%\r", null, "2%\r", null, "\n\n"), "1%\n2%\n\n");
  assert.equal(shown("1%", null, "\r2%", "\r\n"), "1%\n2%\n");
  assert.equal(shown("1%\r", null), "1%\n");
  assert.equal(shown(null, "\r", null, "a"), "a\n");
});

Deno.test("megabytes of one line that is written over take no memory, and come as its end", () => {
  const states = Array.from({ length: 100_000 }, (_, i) => `${i} of 100000\r`);
  assert.equal(shown(...states), "99999 of 100000\n");
});
