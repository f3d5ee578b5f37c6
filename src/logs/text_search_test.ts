import assert from "node:assert/strict";
import { Needle, Search } from "./text_search.ts";

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
