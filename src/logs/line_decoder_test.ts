import assert from "node:assert/strict";
import { cutLongLines, LineDecoder, MAX_ENTRY_CODE_POINTS } from "./line_decoder.ts";

const encoder = new TextEncoder();

function decode(...chunks: Uint8Array[]): string {
  const decoder = new LineDecoder();
  return chunks.map((chunk) => decoder.push(chunk)).join("") + decoder.end();
}

function bytesOf(...parts: (string | number[])[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => typeof part === "string" ? [...encoder.encode(part)] : part),
  );
}

function codePoints(text: string): number {
  return [...text].length;
}

Deno.test("what is split at any byte gives the same lines as what comes whole", () => {
  const bytes = bytesOf(
    "\ufeffBOM stays\n",
    "größer 日本語 👩‍👩‍👧 x\r\n\r\n",
    "a\0b\0\n",
    [0xff, 0xc3, 0x28, 0xe2, 0x82, 0x0a, 0xf0, 0x9f, 0x0a, 0xed, 0xa0, 0x80, 0x0a],
    "lone \r in the middle\n\n",
    "last 🎉",
  );
  const whole = decode(bytes);
  assert.equal(
    whole,
    "\ufeffBOM stays\ngrößer 日本語 👩‍👩‍👧 x\n\na\ufffdb\ufffd\n" +
      "\ufffd\ufffd(\ufffd\n\ufffd\n\ufffd\ufffd\ufffd\nlone \r in the middle\n\nlast 🎉\n",
  );
  for (let at = 0; at <= bytes.length; at++) {
    assert.equal(decode(bytes.subarray(0, at), bytes.subarray(at)), whole, `split at ${at}`);
  }
  assert.equal(decode(...Array.from(bytes, (byte) => Uint8Array.of(byte))), whole, "byte by byte");
});

Deno.test("only what was begun is a last line", () => {
  assert.equal(decode(), "");
  assert.equal(decode(bytesOf("a\n")), "a\n");
  assert.equal(decode(bytesOf("a\nb")), "a\nb\n");
  assert.equal(decode(bytesOf("a", [0xe2, 0x82])), "a\ufffd\n", "a character cut short by the end");
  assert.equal(decode(bytesOf("a\r")), "a\r\n", "a carriage return that ended nothing");
});

for (const [what, char] of [["ASCII", "x"], ["emoji", "😀"]] as const) {
  Deno.test(`a line of 5000 ${what} stays, one of 5001 is cut`, () => {
    const full = char.repeat(5_000);
    assert.equal(decode(bytesOf(full + "\n")), `${full}\n`);
    assert.equal(decode(bytesOf(full)), `${full}\n`);
    assert.equal(decode(bytesOf(full + char + "\nnext\n")), `${full}\n${char}\nnext\n`);
    assert.equal(decode(bytesOf(`a\n${full}${full}${char}`)), `a\n${full}\n${full}\n${char}\n`);
  });

  Deno.test(`long lines of ${what} are cut alike however they come`, () => {
    for (const length of [4_999, 5_000, 5_001, 9_999, 10_000, 10_001, 15_000, 20_001]) {
      for (const lineEnd of ["\n", "\r\n", "\r\r\n"]) {
        const bytes = bytesOf(char.repeat(length), lineEnd, "z\n");
        const whole = decode(bytes);
        assert.equal(whole.replaceAll("\n", "").replace("\r", ""), char.repeat(length) + "z");
        assert(whole.split("\n").every((line) => codePoints(line) <= MAX_ENTRY_CODE_POINTS));
        const end = bytes.length;
        for (const at of [1, 4_999, 10_000, 10_001, end - 5, end - 4, end - 3, end - 2, end - 1]) {
          const split = decode(bytes.subarray(0, at), bytes.subarray(at));
          assert(split === whole, `${length} ${JSON.stringify(lineEnd)} split at ${at}`);
        }
      }
    }
  });
}

Deno.test("a line that never ends is given out in pieces, and little of it is held back", () => {
  const decoder = new LineDecoder();
  const chunk = encoder.encode("😀x".repeat(3_000));
  let given = 0;
  let pieces = 0;
  for (let i = 1; i <= 500; i++) {
    const lines = decoder.push(chunk);
    assert(lines === "" || lines.endsWith("\n"));
    for (const line of lines.split("\n").slice(0, -1)) {
      assert.equal(codePoints(line), MAX_ENTRY_CODE_POINTS);
      given += codePoints(line);
      pieces++;
    }
    assert(i * 6_000 - given <= 2 * MAX_ENTRY_CODE_POINTS, `holds ${i * 6_000 - given}`);
  }
  assert.equal(given + codePoints(decoder.end()) - 1, 500 * 6_000);
  assert.equal(pieces, 599);
});

Deno.test("cutting keeps every character of random texts, and their newlines", () => {
  for (let round = 0; round < 200; round++) {
    const lines = Array.from({ length: Math.ceil(Math.random() * 6) }, () => {
      const char = ["x", "é", "😀"][Math.floor(Math.random() * 3)] ?? "";
      return char.repeat(Math.floor(Math.random() ** 4 * 16_000));
    });
    const text = lines.join("\n") + "\n";
    const expected = lines.map((line) => {
      const chars = [...line];
      const pieces = [];
      for (let at = 0; at === 0 || at < chars.length; at += MAX_ENTRY_CODE_POINTS) {
        pieces.push(chars.slice(at, at + MAX_ENTRY_CODE_POINTS).join(""));
      }
      return pieces.join("\n") + "\n";
    }).join("");
    assert(cutLongLines(text) === expected, `lengths ${lines.map(codePoints)}`);
  }
});
