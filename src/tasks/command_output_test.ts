import assert from "node:assert/strict";
import { CommandOutput, startLine } from "./command_output.ts";

/** What is seen of standard error that comes in these pieces. */
function seen(pieces: Iterable<string>): CommandOutput {
  const output = new CommandOutput(startLine("t-1"));
  for (const piece of pieces) {
    output.see({ stream: "stderr", bytes: new TextEncoder().encode(piece) });
  }
  return output;
}

Deno.test("the line that a command begins with is seen, however it comes", () => {
  const line = "noderax-agent: begun t-1\n";
  const cases: [pieces: Iterable<string>, hasBegun: boolean][] = [
    [[line], true],
    [line, true],
    [["prof", `ile\n${line}a`, "b"], true],
    [["noderax-agent: no", `der${line}`], true],
    [["a".repeat(20_000), `\n${line}`], true],
    [[`${"a\n".repeat(9_000)}noderax-agent: beg`, "un t-1\n", "\n".repeat(20_000)], true],
    [["noderax-agent: begun t-1"], false],
    [["noderax-agent: begun t-2\n"], false],
    [["\n".repeat(20_000), line.replace("un", "in")], false],
    [[], false],
  ];
  for (const [pieces, hasBegun] of cases) {
    assert.equal(seen(pieces).hasBegun, hasBegun, [...pieces].join("|").slice(-100));
  }
});

Deno.test("either stream may say it, and none half of it", () => {
  const output = new CommandOutput(startLine("t-1"));
  const see = (stream: "stdout" | "stderr", text: string) =>
    output.see({ stream, bytes: new TextEncoder().encode(text) });
  see("stdout", "noderax-agent: ");
  see("stderr", "begun t-1\n");
  assert(!output.hasBegun);
  see("stdout", "begun t-1\n");
  assert(output.hasBegun);
});

Deno.test("it is told when the line comes first and alone, as it does as a rule", () => {
  const line = new TextEncoder().encode("noderax-agent: begun t-1\n");
  const output = new CommandOutput(startLine("t-1"));
  const see = (bytes: Uint8Array) => output.see({ stream: "stderr", bytes });
  assert.deepEqual([see(line), see(line)], [true, false], "the second is the command's own");
  assert(
    !new CommandOutput(startLine("t-1")).see({
      stream: "stderr",
      bytes: new Uint8Array([...line, 65]),
    }),
  );
});

Deno.test("the end of standard error is kept", () => {
  assert.equal(seen(["a", "b\n", "c"]).stderr, "ab\nc");
  const { stderr } = seen(["begin", "x".repeat(16_000), "y".repeat(1_000), "end"]);
  assert.equal(stderr.length, 16 * 1024);
  assert.match(stderr, /^x+y{1000}end$/);
});
