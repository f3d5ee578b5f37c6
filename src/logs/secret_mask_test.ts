import assert from "node:assert/strict";
import { quickestMs } from "../system/_quickest.ts";
import { LineDecoder } from "./log_entries.ts";
import { SecretMask } from "./secret_mask.ts";
import { Needle, Search } from "./text_search.ts";

/** Masks a whole text, one character after the other. */
function naive(text: string, secrets: string[]): string {
  const covered = new Uint8Array(text.length);
  const begins = new Set<number>();
  for (let at = 0, end = 0; at < text.length; at++) {
    const found = secrets.filter((secret) => text.startsWith(secret, at));
    if (found.length === 0) continue;
    if (at >= end) begins.add(at);
    end = Math.max(end, at + Math.max(...found.map(({ length }) => length)));
    covered.fill(1, at, end);
  }
  return Array.from(
    { length: text.length },
    (_, at) => begins.has(at) ? "***" : covered[at] ? "" : text[at],
  ).join("");
}

/** Masks a text that comes in these pieces. */
function inPieces(mask: SecretMask, pieces: string[]): string {
  const stream = mask.stream();
  return pieces.map((piece) => stream.push(piece)).join("") + stream.end();
}

const PEM_LINES = ["-----BEGIN KEY-----", "MIIEvQIBADAN", "Bgkqhk==", "ab=", "-----END KEY-----"];
const PEM = PEM_LINES.join("\n");
const LONG_PEM_LINES = PEM_LINES.filter((line) => line.length >= 8);

/** What is secret, what is looked for, the text, and what becomes of it. */
const CASES: [what: string, values: string[], looked: string[], text: string, masked: string][] = [
  ["one", ["hunter22"], ["hunter22"], "a hunter22 b\n", "a *** b\n"],
  ["nothing but it", ["hunter22"], ["hunter22"], "hunter22", "***"],
  ["side by side", ["hunter22"], ["hunter22"], "hunter22hunter22", "******"],
  ["nearly", ["hunter22"], ["hunter22"], "hunter2 hunthunter2hunter22", "hunter2 hunthunter2***"],
  [
    "one within another",
    ["abcd", "xabcdy"],
    ["abcd", "xabcdy"],
    "abcd xabcdy xabcd",
    "*** *** x***",
  ],
  ["ends as another begins", ["abcdef", "defghi"], ["abcdef", "defghi"], "-abcdefghi-", "-***-"],
  ["begins alike", ["abcd", "abcdefgh"], ["abcd", "abcdefgh"], "abcdefg abcdefgh", "***efg ***"],
  ["overlaps itself", ["abab"], ["abab"], "xababababax", "x***ax"],
  ["repeats itself", ["aaaab"], ["aaaab"], "aaaaaaab aaaa", "aaa*** aaaa"],
  ["repeats itself at its end", ["baaaa"], ["baaaa"], "abaaabaaaaa", "abaaa***a"],
  ["repeats itself in part", ["abaababaab"], ["abaababaab"], "abaabaababaababaabab", "aba***ab"],
  ["Unicode", ["pässword日本"], ["pässword日本"], "é pässword日本語 😀", "é ***語 😀"],
  ["emoji that differ in half", ["😀😁😂"], ["😀😁😂"], "😀😀😁😂😀😁😃", "😀***😀😁😃"],
  ["signs of a pattern", ["a.c*(d|$"], ["a.c*(d|$"], "abccd a.c*(d|$", "abccd ***"],
  ["spaces around", ["  hunter22\n"], ["hunter22"], "[hunter22]", "[***]"],
  ["lone surrogates", ["abc\ud800def"], ["abc\ufffddef"], "abc\ufffddef", "***"],
  ["several lines", [PEM], [PEM, ...LONG_PEM_LINES], `k: ${PEM}\nab=\n`, "k: ***\nab=\n"],
  [
    "several lines, one by one",
    [PEM],
    [PEM, ...LONG_PEM_LINES],
    PEM_LINES.map((line) => `> ${line}\n`).join(""),
    "> ***\n> ***\n> ***\n> ab=\n> ***\n",
  ],
  [
    "several lines, not to the end",
    [PEM],
    [PEM, ...LONG_PEM_LINES],
    PEM.slice(0, 40),
    "***\n***\nBgkqhk=",
  ],
];

for (const [what, values, looked, text, masked] of CASES) {
  Deno.test(`secrets are masked however the text is split: ${what}`, () => {
    const mask = new SecretMask(values);
    assert.equal(mask.apply(text), masked);
    assert.equal(naive(text, looked), masked, "the test's own idea of it");
    const chars = [...text];
    assert.equal(inPieces(mask, chars), masked, "character by character");
    for (let i = 0; i <= chars.length; i++) {
      for (let j = i; j <= chars.length; j++) {
        const cuts = [chars.slice(0, i), chars.slice(i, j), chars.slice(j)];
        const pieces = cuts.map((cut) => cut.join(""));
        assert.equal(inPieces(mask, pieces), masked, JSON.stringify(pieces));
      }
    }
  });

  Deno.test(`secrets are masked at every split of their bytes: ${what}`, () => {
    const mask = new SecretMask(values);
    const bytes = new TextEncoder().encode(text);
    const lines = masked.endsWith("\n") ? masked : `${masked}\n`;
    for (let i = 0; i <= bytes.length; i++) {
      const decoder = new LineDecoder(mask);
      const pieces = [decoder.push(bytes.subarray(0, i)), decoder.push(bytes.subarray(i))];
      assert.equal(pieces.join("") + decoder.end(), lines, `split at ${i}`);
    }
  });
}

Deno.test("random texts of few letters are masked alike whole, in pieces and naively", () => {
  const pick = (n: number) => Math.floor(Math.random() * n);
  const letters = (n: number) =>
    Array.from({ length: n }, () => "ab\n"[pick(9) ? pick(2) : 2]).join("");
  for (let round = 0; round < 3_000; round++) {
    const secrets = Array.from({ length: 1 + pick(4) }, () => `a${letters(2 + pick(8))}b`);
    const looked = secrets.flatMap((secret) => [
      secret,
      ...secret.includes("\n") ? secret.split("\n").filter(({ length }) => length >= 8) : [],
    ]);
    const parts = Array.from(
      { length: pick(9) },
      () => pick(2) ? letters(pick(9)) : secrets[pick(4)],
    );
    const text = parts.join("");
    const pieces = [];
    for (let at = 0; at < text.length;) pieces.push(text.slice(at, at += 1 + pick(7)));
    const told = JSON.stringify({ secrets, pieces });
    const expected = naive(text, looked);
    const mask = new SecretMask(secrets);
    assert.equal(mask.apply(text), expected, told);
    assert.equal(inPieces(mask, pieces), expected, told);
    for (const secret of secrets) assert(!expected.includes(secret), told);
  }
});

Deno.test("only what may be the beginning of a secret is held back, and only while it may", () => {
  const stream = new SecretMask(["hunter22", "first\nsecond line"]).stream();
  const steps: [string, string][] = [
    ["a line\n", "a line\n"],
    ["hunt", ""],
    ["er", ""],
    ["ess hunter2", "hunteress "],
    ["3 fir", "hunter23 "],
    ["st\n", ""],
    ["secret\nx", "first\nsecret\nx"],
    ["hunter22", "***"],
    ["first\nsecond line", "***"],
    ["hunt", ""],
  ];
  for (const [piece, out] of steps) assert.equal(stream.push(piece), out, piece);
  assert.equal(stream.end(), "hunt");
  assert.equal(stream.end(), "");
});

Deno.test("a secret of several lines is found with either kind of line ends", () => {
  for (const end of ["\n", "\r\n"]) {
    const mask = new SecretMask([`ab${end}cd${end}ef${end}`]);
    assert.equal(mask.apply("ab\ncd\nef\n"), "***\n");
    assert.equal(mask.apply("ab\r\ncd\r\nef\r\n"), "***\r\n");
    assert.equal(mask.apply("ab cd ef"), "ab cd ef");
  }
});

Deno.test("what is no secret is left alone", () => {
  const values = ["", "  ", "abc", "42", "true", "FALSE", "null", "none", "default", "*****"];
  const text = values.join("|");
  assert.equal(new SecretMask(values).apply(text), text);
  assert.equal(new SecretMask([]).apply(text), text);
  assert.equal(new SecretMask([]).stream().end(), "");
});

Deno.test("a secret is masked before a line is cut, wherever the cut falls", () => {
  const secret = "s3cr3t".repeat(1_000);
  const bytes = new TextEncoder().encode(`${"x".repeat(4_990)}${secret}yz\n`);
  for (const size of [1, 1_000, 4_096, 65_536]) {
    const decoder = new LineDecoder(new SecretMask([secret]));
    let text = "";
    for (let at = 0; at < bytes.length; at += size) {
      text += decoder.push(bytes.subarray(at, at + size));
    }
    assert.equal(text + decoder.end(), `${"x".repeat(4_990)}***yz\n`);
  }
});

Deno.test("a long secret that repeats itself costs no more time than another", () => {
  const text = "a".repeat(2 ** 20);
  const run = "a".repeat(5_000);
  for (const secret of [`${run}b`, `b${run}`, run, "ab".repeat(2_500), `${"aab".repeat(2_000)}c`]) {
    const pattern = secret.slice(0, -1).repeat(Math.ceil(text.length / secret.length));
    for (const printed of [text, pattern]) {
      const stream = new SecretMask([secret]).stream();
      const start = performance.now();
      for (let at = 0; at < printed.length; at += 65_536) {
        stream.push(printed.slice(at, at + 65_536));
      }
      stream.end();
      const tookMs = performance.now() - start;
      assert(tookMs < 10_000, `${secret.slice(0, 6)}… took ${tookMs} ms`);
    }
  }
});

Deno.test("thousands of secrets do not block the agent", async () => {
  const random = () => crypto.getRandomValues(new Uint8Array(20)).toHex();
  const printed = Array.from({ length: 40_000 }, random).join("\n");
  for (const head of ["", "ghp_", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."]) {
    const secrets = Array.from({ length: 2_000 }, () => head + random());
    const mask = new SecretMask(secrets);
    const text = `${printed}\n${secrets[7]}\n`;
    const tookMs = await quickestMs(2_000, () => {
      const stream = mask.stream();
      let masked = "";
      for (let at = 0; at < text.length; at += 32_768) {
        masked += stream.push(text.slice(at, at + 32_768));
      }
      assert.equal(masked + stream.end(), `${printed}\n***\n`);
      return Promise.resolve();
    });
    // It was 10 s for as much, and is some 20 ms.
    assert(tookMs < 2_000, `${tookMs} ms`);
  }
});

Deno.test("secrets as many and as long as an environment can hold are masked", () => {
  const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes)).toHex();
  const long = Array.from({ length: 15 }, () => random(32_000) + random(32_000));
  const lines = Array.from({ length: 5_000 }, () => random(8));
  const mask = new SecretMask([...long, lines.join("\n")]);
  assert.equal(mask.apply(`a${long[7]}b ${lines[99]}c`), "a***b ***c");
});

Deno.test("a search tells of any rising places what a plain comparison tells", () => {
  const pick = (n: number) => Math.floor(Math.random() * n);
  const letters = (n: number) => Array.from({ length: n }, () => "aab"[pick(3)]).join("");
  for (let round = 0; round < 3_000; round++) {
    const unit = letters(1 + pick(4));
    const secret = unit.repeat(1 + pick(6)) + letters(pick(3));
    const text = Array.from({ length: 6 }, () => [secret, unit, letters(2)][pick(3)]).join("");
    const needle = new Needle(secret);
    const [whole, ends] = [new Search(needle, text), new Search(needle, text)];
    for (let place = pick(3); place < text.length; place += 1 + pick(2) * pick(5)) {
      const told = JSON.stringify({ secret, text, place });
      assert.equal(whole.standsAt(place), text.startsWith(secret, place), told);
      assert.equal(ends.endsTextAt(place), secret.startsWith(text.slice(place)), told);
    }
  }
});

Deno.test("the border of a beginning", () => {
  const needle = new Needle("aabaaab");
  assert.deepEqual([7, 1, 2, 3, 4, 5, 6].map((n) => needle.border(n)), [3, 0, 1, 0, 1, 2, 2]);
});
