import assert from "node:assert/strict";
import { clock, Progress } from "./progress.ts";

Deno.test("a terminal shows one line that is rewritten, cut to its width, and gone at the end", () => {
  let text = "";
  {
    using progress = new Progress({ write: (part) => text += part, columns: 10 });
    progress.show("one");
    progress.show("a line that is too long");
  }
  assert.equal(text, "\r\x1b[Kone\r\x1b[Ka line th\r\x1b[K");
});

Deno.test("without a terminal a plain line comes at once, then once a minute", () => {
  let text = "";
  let now = 0;
  {
    using progress = new Progress({
      write: (part) => text += part,
      columns: undefined,
      now: () => now,
    });
    for (; now < 125_000; now += 5_000) progress.show(`${now / 1000} s`);
  }
  assert.equal(text, "0 s\n60 s\n120 s\n");
});

Deno.test("a span of time reads as minutes and seconds", () => {
  assert.deepEqual([0, 65_400, 600_000, -5].map(clock), ["0:00", "1:05", "10:00", "0:00"]);
});
