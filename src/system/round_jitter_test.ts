import assert from "node:assert/strict";
import { RoundJitter } from "./round_jitter.ts";

Deno.test("the first round is drawn from the whole interval, later ones are a tenth shorter at most", () => {
  for (const [chance, parts] of [[0, [0, 0.9, 0.9]], [0.5, [0.5, 0.95, 0.95]], [1, [1, 1, 1]]]) {
    const rounds = new RoundJitter(() => Number(chance));
    assert.deepEqual([1, 2, 3].map(() => rounds.next()), parts);
    rounds.restart();
    assert.equal(rounds.next(), chance);
  }
});

Deno.test("what a standstill has brought together drifts apart", () => {
  const intervalMs = 15_000;
  const agents = Array.from({ length: 1_000 }, () => {
    const rounds = new RoundJitter();
    rounds.next();
    return Array.from({ length: 40 }, () => rounds.next() * intervalMs)
      .reduce((sum, ms) => sum + ms, 0);
  });
  const seconds = Map.groupBy(agents, (ms) => Math.floor(ms / 1_000));
  const fullest = Math.max(...[...seconds.values()].map(({ length }) => length));
  assert(fullest < 250, `${fullest} of 1000 in a second after ten minutes`);
});
