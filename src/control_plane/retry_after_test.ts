import assert from "node:assert/strict";
import { retryAfterMs } from "./retry_after.ts";

Deno.test("a refusal that says when to come again is understood, and waited for up to two minutes", () => {
  const date = "Wed, 21 Oct 2015 07:28:00 GMT";
  const cases: [expected: number, status: number, asked: string][] = [
    [3_000, 429, "3"],
    [3_000, 503, " 3 "],
    [0, 500, "3"],
    [0, 503, "0"],
    [0, 503, "-3"],
    [0, 503, "soon"],
    [120_000, 503, "121"],
    [120_000, 503, "9".repeat(400)],
    [5_000, 503, "Wed, 21 Oct 2015 07:28:05 GMT"],
    [0, 503, "Wed, 21 Oct 2015 07:27:00 GMT"],
    [120_000, 503, "Wed, 21 Oct 2099 07:27:00 GMT"],
  ];
  for (const [expected, status, asked] of cases) {
    const answer = new Response("", { status, headers: { "retry-after": asked, date } });
    assert.equal(retryAfterMs(answer), expected, asked);
  }
  assert.equal(retryAfterMs(new Response("", { status: 503 })), 0);
});
