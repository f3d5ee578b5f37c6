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
    [
      "sudo-rs: I'm sorry x. I'm afraid I can't do that\n",
      "I'm sorry x. I'm afraid I can't do that",
    ],
    ["sudo: unable to resolve host web1: Name or service not known\n", undefined],
    ["sudo: setrlimit(RLIMIT_CORE): Operation not permitted\n", undefined],
    [
      "sudo: unable to resolve host web1\r\nsudo: a password is required\r\n",
      "a password is required",
    ],
    ["sudo: a terminal is required\nsudo: a password is required\n", "a password is required"],
    [
      "Sorry, user x is not allowed to execute '/usr/bin/id' as root on h.\n",
      "Sorry, user x is not allowed to execute '/usr/bin/id' as root on h.",
    ],
    ["Sorry, user x may not run sudo on h.\n", "Sorry, user x may not run sudo on h."],
    ["x is not in the sudoers file.\n", "x is not in the sudoers file."],
    ["x is not allowed to run sudo on h.\n", "x is not allowed to run sudo on h."],
    ["Sorry, user x does not exist\n", undefined],
    ["pseudo: a password is required\n", undefined],
    ["see sudo: it helps\n", undefined],
  ];
  for (const [lines, words] of cases) assert.equal(wordsOfSudo(lines), words, lines);
});

Deno.test("a command that fails by itself has not been refused", () => {
  const refusal = new SudoRefusal();
  assert.equal(refusal.sentence(1), undefined);
  refusal.push("sudo: unable to resolve host web1: Name or service not known\n");
  assert.equal(refusal.sentence(1), undefined);
  refusal.push("sudo: first\n");
  refusal.push("sudo: second\n");
  refusal.push("other words\n");
  assert.equal(refusal.sentence(3), undefined);
  assert.match(refusal.sentence(1) ?? "", /^sudo refuses to run this as root: second \(/);
});
