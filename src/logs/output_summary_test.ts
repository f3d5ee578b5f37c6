import assert from "node:assert/strict";
import { MAX_OUTPUT_UNITS, OutputSummary } from "./output_summary.ts";

const NOTE = /\n\[… (\d+) characters left out …\]\n/;

function summarize(...lines: string[]): string {
  const summary = new OutputSummary();
  for (const text of lines) summary.push("stdout", text);
  return summary.toString();
}

Deno.test("short output is kept as it is, without its last newline", () => {
  assert.equal(summarize(), "");
  assert.equal(summarize("a\n", "b\n"), "a\nb");
  assert.equal(summarize("a\n\n"), "a\n");
});

Deno.test("each line of stderr is marked, lines of the agent's own are not output", () => {
  const summary = new OutputSummary();
  summary.push("stdout", "out\n");
  summary.push("stderr", "one\n\ntwo\n");
  summary.push("stderr", "\n");
  summary.push("system", "note\n");
  summary.push("stdout", "out\n");
  assert.equal(
    summary.toString(),
    "out\n[stderr] one\n[stderr] \n[stderr] two\n[stderr] \nout",
  );
});

Deno.test("8000 characters fit exactly; one more is a case for the note", () => {
  const fits = "x".repeat(MAX_OUTPUT_UNITS);
  assert.equal(summarize(fits + "\n"), fits);
  assert.equal(
    summarize(fits.slice(1, 4_000) + "\n" + fits.slice(4_000) + "\n"),
    fits.slice(1, 4_000) + "\n" + fits.slice(4_000),
  );
  const long = summarize(fits + "x\n");
  assert.match(long, NOTE);
  assert(long.length <= MAX_OUTPUT_UNITS);
});

/** All output at once, without any of the summary's own bookkeeping. */
function checkAgainstWhole(shown: string, whole: string): void {
  assert(shown.length <= MAX_OUTPUT_UNITS, `${shown.length} units`);
  assert(shown.isWellFormed(), "a pair of surrogates was split");
  const visible = whole.slice(0, -1);
  if (visible.length <= MAX_OUTPUT_UNITS) return assert(shown === visible, "changed");
  const match = NOTE.exec(shown);
  assert(match, "no note");
  const head = shown.slice(0, match.index);
  const tail = shown.slice(match.index + match[0].length);
  assert(whole.startsWith(head), "head");
  assert(visible.endsWith(tail), "tail");
  assert.equal(Number(match[1]), whole.length - head.length - tail.length);
  assert(shown.length > MAX_OUTPUT_UNITS - 10, `only ${shown.length} units are used`);
}

Deno.test("random output of every size gives its two ends and the exact count between", () => {
  for (let round = 0; round < 400; round++) {
    const summary = new OutputSummary();
    let whole = "";
    const size = [100, 8_000, 9_000, 60_000][round % 4] ?? 0;
    while (whole.length < size) {
      const stream = Math.random() < 0.3 ? "stderr" : "stdout";
      const lines = Array.from(
        { length: Math.ceil(Math.random() * 3) },
        () => ["x", "😀", "é😀"][round % 3]?.repeat(Math.random() ** 3 * 4_500) ?? "",
      );
      summary.push(stream, lines.join("\n") + "\n");
      whole += lines.map((line) => (stream === "stderr" ? "[stderr] " : "") + line + "\n").join("");
    }
    checkAgainstWhole(summary.toString(), whole);
  }
});

Deno.test("sizes around the limit, and pairs at every place of the cut", () => {
  for (let lead = 0; lead < 4; lead++) {
    for (let size = 7_990; size < 8_030; size++) {
      const pairs = Math.floor((size - lead) / 2);
      const whole = "a".repeat(lead) + "😀".repeat(pairs) + "\n";
      checkAgainstWhole(summarize(whole), whole);
      const text = "b".repeat(size) + "\n";
      checkAgainstWhole(summarize(text), text);
    }
  }
});

Deno.test("looking at it does not change it", () => {
  const summary = new OutputSummary();
  summary.push("stdout", "x".repeat(9_000) + "\n");
  const first = summary.toString();
  assert.equal(summary.toString(), first);
  summary.push("stdout", "end\n");
  assert(summary.toString().endsWith("x\nend"));
});
