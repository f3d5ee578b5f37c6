import assert from "node:assert/strict";
import type { LogStream } from "../control_plane/schemas.ts";
import {
  batchWaitMs,
  cutLongLines,
  EntryBatcher,
  LineDecoder,
  MAX_ENTRY_CODE_POINTS,
  ROWS,
  SHOWN_ENTRIES,
} from "./log_entries.ts";
import { Gap } from "./spool_index.ts";

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

/** What is shown of pieces; `null` stands for the time at which an unfinished line is shown. */
function shown(...pieces: (string | null)[]): string {
  const decoder = new LineDecoder(undefined, { forPeople: true });
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
    assert.deepEqual(rows.takeLine(), { stream, text, atMs, end, gaps: [] });
  }
  assert(rows.empty);
  assert.equal(rows.takeLine(), undefined);
  assert.equal(rows.take(), undefined);

  const packed = windowOf(...texts);
  const first = { stream: "stdout", text: "a\nb\nc", atMs: 1, end: 6, gaps: [] };
  assert.deepEqual(packed.take(), first);
  assert.deepEqual(packed.take(), { stream: "stderr", text: "E", atMs: 2, end: 2, gaps: [] });
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
    gaps: [],
  });
  assert.deepEqual(window.take(), {
    stream: "stdout",
    text: "z",
    atMs: 1,
    end: 5_002,
    gaps: [],
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

Deno.test("an entry tells of the gaps whose notes are in it", () => {
  const batcher = new EntryBatcher();
  const gap = new Gap();
  batcher.add({ stream: "system", text: "said\n", atMs: 1, end: 5 });
  batcher.add({ stream: "system", text: "left out\n", atMs: 2, end: 5, gap });
  batcher.add({ stream: "system", text: "said more\n", atMs: 3, end: 15 });
  assert.deepEqual(batcher.takeLine()?.gaps, []);
  const text = "left out\nsaid more";
  assert.deepEqual(batcher.take(), { stream: "system", text, atMs: 2, end: 15, gaps: [gap] });
});

Deno.test("the first lines go out at once, each in a row of its own", () => {
  for (let entries = 0; entries < ROWS; entries++) assert.equal(batchWaitMs(entries), 0);
});

Deno.test("then the wait only grows while the budget lasts, from 2 s to a minute", () => {
  assert.equal(batchWaitMs(ROWS), 2_000);
  for (let entries = 1; entries < SHOWN_ENTRIES; entries++) {
    assert(batchWaitMs(entries) >= batchWaitMs(entries - 1), `at ${entries}`);
    assert(batchWaitMs(entries) <= 60_000);
  }
  assert.equal(batchWaitMs(SHOWN_ENTRIES), 2_000, "what nobody will see");
});

Deno.test("a build that prints for nearly half an hour is seen to its end", () => {
  let totalMs = 0;
  for (let entries = 0; entries < SHOWN_ENTRIES; entries++) totalMs += batchWaitMs(entries);
  assert(totalMs >= 1_700_000, `the budget lasts ${totalMs} ms`);
});
