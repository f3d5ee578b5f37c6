import assert from "node:assert/strict";
import { formatDuration, formatSize, parseDuration, parseSize } from "./kinds.ts";

const READ: readonly [string, number][] = [
  ["0", 0],
  ["+0", 0],
  ["-0", 0],
  ["0s", 0],
  ["5s", 5_000],
  ["30s", 30_000],
  ["1478s", 1_478_000],
  ["+5s", 5_000],
  ["-5s", -5_000],
  ["5.0s", 5_000],
  ["5.s", 5_000],
  [".5s", 500],
  ["1.5s", 1_500],
  ["1.004s", 1_004],
  ["4.35s", 4_350],
  ["100.00100s", 100_001],
  ["10ns", 0.00001],
  ["11us", 0.011],
  ["12µs", 0.012],
  ["12μs", 0.012],
  ["13ms", 13],
  ["250ms", 250],
  ["14s", 14_000],
  ["15m", 900_000],
  ["16h", 57_600_000],
  ["1h2m3s", 3_723_000],
  ["3h30m", 12_600_000],
  ["10.5s4m", 250_500],
  ["-2m3.4s", -123_400],
  ["1h2m3s4ms5us6ns", 3_723_004.005006],
  ["39h9m14.425s", 140_954_425],
  ["0.3333333333333333333h", 1_200_000],
  ["1s1s", 2_000],
];

const NOT_READ: readonly string[] = [
  ...["", " ", "3", "30", "-", "+", "s", ".", "-.", ".s", "+.s", "1.2", "1d", "1w", "1 s", " 1s"],
  ...["1s ", "1s\n", "1S", "1H", "1e3s", "0x1s", "--1s", "1-s", "1m-2s", "1,5s", "1..5s", "1.5.s"],
  ...["Infinitys", "NaNs", "NaN", "null", "1s2", "2 1s", "1msec", "1min", "٣s"],
  ...["3000000h", "9223372036.854775808s", "9".repeat(400) + "s"],
];

Deno.test("parseDuration reads what Go writes and accepts", () => {
  for (const [text, milliseconds] of READ) {
    assert.equal(parseDuration(text), milliseconds, text);
  }
});

Deno.test("parseDuration refuses everything else", () => {
  for (const text of NOT_READ) assert.equal(parseDuration(text), undefined, JSON.stringify(text));
});

Deno.test("formatDuration writes the short form", () => {
  const written: readonly [number, string][] = [
    [0, "0s"],
    [-0, "0s"],
    [0.000001, "1ns"],
    [0.0015, "1.5µs"],
    [2.2, "2.2ms"],
    [250, "250ms"],
    [1_000, "1s"],
    [1_500, "1.5s"],
    [59_999.999999, "59.999999999s"],
    [60_000, "1m"],
    [600_000, "10m"],
    [3_600_000, "1h"],
    [3_600_000.000001, "1h0.000000001s"],
    [3_723_000, "1h2m3s"],
    [86_400_000, "24h"],
    [-123_400, "-2m3.4s"],
  ];
  for (const [milliseconds, text] of written) assert.equal(formatDuration(milliseconds), text);
});

Deno.test("a duration survives being written and read, whatever its size", () => {
  let seed = 7;
  const random = () => (seed = seed * 48_271 % 2_147_483_647) / 2_147_483_647;
  for (let i = 0; i < 2_000; i++) {
    const nanoseconds = Math.floor(10 ** (random() * 15)) * (random() < 0.2 ? -1 : 1);
    const text = formatDuration(nanoseconds / 1e6);
    assert.equal(Math.round((parseDuration(text) ?? NaN) * 1e6), nanoseconds, text);
  }
});

Deno.test("a size has its unit, decimal or binary", () => {
  for (
    const [text, bytes] of [
      ["64MiB", 64 * 2 ** 20],
      ["64 mib", 64 * 2 ** 20],
      ["1.5GB", 1.5e9],
      ["1kB", 1_000],
      ["0B", 0],
      ["64", undefined],
      ["64M", undefined],
      ["MiB", undefined],
      ["-1MiB", undefined],
      ["1ib", undefined],
      ["", undefined],
    ] as const
  ) assert.equal(parseSize(text), bytes, text);
});

Deno.test("a size is written as it is read", () => {
  assert.equal(formatSize(64 * 2 ** 20), "64MiB");
  assert.equal(formatSize(1_500), "1500B");
  assert.equal(formatSize(3 * 2 ** 30), "3GiB");
  for (const bytes of [0, 1, 1_024, 1_025, 123_456_789, 2 ** 40]) {
    assert.equal(parseSize(formatSize(bytes)), bytes);
  }
});
