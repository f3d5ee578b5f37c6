import assert from "node:assert/strict";
import { SequenceLedger } from "./sequence.ts";

/** A ledger that has seen frames acknowledged with these numbers, without inputs. */
function ledger(...seqs: number[]): SequenceLedger {
  const made = new SequenceLedger();
  for (const seq of seqs) made.acknowledged(seq, 0);
  return made;
}

Deno.test("the next number but one means that the frame in between was stored", () => {
  assert.equal(ledger(3, 4).resolve(6, 0), "stored");
  assert.equal(ledger(3, 4).resolve(5, 0), "not stored");
  assert.equal(ledger(3, 4).resolve(7, 0), "unclear");
});

Deno.test("before any acknowledgement the numbers are taken to start at 1", () => {
  assert.equal(ledger().resolve(1, 0), "not stored");
  assert.equal(ledger().resolve(2, 0), "stored");
  assert.equal(ledger().resolve(3, 0), "unclear");
  assert.equal(ledger().resolve(2, 1), "unclear");
  const made = ledger();
  assert.equal(made.resolve(2, 0), "stored");
  made.acknowledged(3, 0);
  assert.equal(made.resolve(5, 0), "stored");
});

Deno.test("after frames that nobody acknowledged it counts anew", () => {
  const made = ledger(1, 2);
  made.restart();
  assert.equal(made.resolve(4, 0), "unclear");
  made.acknowledged(9, 0);
  assert.equal(made.resolve(11, 0), "stored");
});

Deno.test("it goes on counting after a verdict", () => {
  const stored = ledger(1, 2);
  assert.equal(stored.resolve(4, 0), "stored");
  stored.acknowledged(5, 0);
  assert.equal(stored.resolve(6, 0), "not stored");
  stored.acknowledged(7, 0);
  assert.equal(stored.resolve(9, 0), "stored");
});

Deno.test("empty frames that were lost themselves are told apart where that is possible", () => {
  assert.equal(ledger(1).resolve(2, 0, 1), "not stored");
  assert.equal(ledger(1).resolve(3, 0, 1), "unclear");
  assert.equal(ledger(1).resolve(4, 0, 1), "stored");
});

Deno.test("numbers that inputs have taken are not mistaken for frames", () => {
  const numbersInputs = () => {
    const made = ledger(3);
    made.acknowledged(5, 1);
    return made;
  };
  // One more was typed: its number is 6.
  assert.equal(numbersInputs().resolve(7, 2), "not stored");
  assert.equal(numbersInputs().resolve(8, 2), "stored");
  assert.equal(numbersInputs().resolve(9, 2), "unclear");
});

Deno.test("a control plane that does not number inputs is recognised", () => {
  const made = ledger(1);
  made.acknowledged(2, 1);
  made.acknowledged(3, 2);
  assert.equal(made.resolve(5, 3), "stored");
  assert.equal(made.resolve(6, 4), "not stored");
});

Deno.test("one input is enough to tell, if a frame that was sent after it is acknowledged", () => {
  const made = ledger(1);
  made.acknowledged(2, 1);
  assert.equal(made.resolve(4, 1), "stored");
});

Deno.test("an input that was numbered before the first frame, but came after it, is not counted", () => {
  const made = ledger(4);
  made.acknowledged(5, 1);
  made.acknowledged(7, 2);
  assert.equal(made.resolve(9, 2), "stored");
  assert.equal(made.resolve(10, 2), "not stored");
});

Deno.test("an input that took no number by the time of a verdict tells it too", () => {
  const made = ledger(1);
  assert.equal(made.resolve(2, 1), "not stored");
  assert.equal(made.resolve(4, 1), "stored");
});

Deno.test("what one session has learned all know", () => {
  const numbering = {};
  const first = new SequenceLedger(numbering);
  first.acknowledged(1, 0);
  first.acknowledged(2, 1);
  const next = new SequenceLedger(numbering);
  next.acknowledged(1, 0);
  assert.equal(next.resolve(3, 1), "stored");
});

Deno.test("as long as that is not known, a frame is rather sent twice than lost", () => {
  assert.equal(ledger(1).resolve(3, 1), "unclear");
  assert.equal(ledger(1).resolve(2, 1), "not stored");
});
