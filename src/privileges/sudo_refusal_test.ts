import assert from "node:assert/strict";
import { SudoRefusal, wordsOfSudo } from "./sudo_refusal.ts";

Deno.test("what sudo says is told from what others say", () => {
  const cases: [string, string | undefined][] = [
    ["sudo: a password is required\n", "a password is required"],
    ["hint\nsudo: unknown user x\n", "unknown user x"],
    ["sh: 1: sudo: not found\n", "not found"],
    ["/bin/sh: 1: exec: sudo: not found\n", "not found"],
    ["/bin/sh: line 1: exec: sudo: not found\n", "not found"],
    ["env: ‘sudo’: No such file or directory\n", "No such file or directory"],
    ["env: 'sudo': No such file or directory\n", "No such file or directory"],
    ["pseudo: a password is required\n", undefined],
    ["see sudo: it helps\n", undefined],
  ];
  for (const [lines, words] of cases) assert.equal(wordsOfSudo(lines), words, lines);
});

Deno.test("a command that fails by itself has not been refused", () => {
  const refusal = new SudoRefusal();
  assert.equal(refusal.sentence(1), undefined);
  refusal.push("sudo: first\n");
  refusal.push("sudo: second\n");
  assert.equal(refusal.sentence(3), undefined);
  assert.match(refusal.sentence(1) ?? "", /^sudo refuses to run this as root: first \(/);
});
